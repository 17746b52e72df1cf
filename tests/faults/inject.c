/* Lets the n-th call of a kind on a file below one folder fail, in a process that preloads this.
 *
 *     cc -O2 -shared -fPIC -o inject.so inject.c -ldl
 *     LD_PRELOAD=inject.so python …
 *
 * What fails, and when, is in a file of sizeof(struct control) bytes that both this process and the
 * one that steers it map; `faults_begin(path)` maps it here. Until then, and while `armed` is 0,
 * every call passes and none is counted. A call that fails is not made, but for close(): Linux lets
 * go of the descriptor whatever it returns. Linux and glibc 2.33 or newer. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The order is that of KINDS in calls.py. */
enum kind {
    OPEN, CREATE, READ, WRITE, CLOSE, FSYNC, SYNCFS, RENAME, LINK, UNLINK, MKDIR, STAT, FSTAT, UTIME,
    CHMOD, SYMLINK, READLINK, OPENDIR, READDIR, STATVFS, TRUNCATE, SEEK, ACCESS, FLOCK, COPY, ALLOCATE,
    KINDS
};

struct control {
    uint32_t armed;        /* calls are counted, and may fail */
    uint32_t kinds;        /* bit set of those that may fail */
    uint32_t nth;          /* the first of these that fails, from 1; 0 for none */
    int32_t error;         /* what it fails with; 0: it transfers half of the bytes */
    uint32_t lasting;      /* every later one fails as well */
    uint32_t seen;         /* calls of these kinds so far */
    uint32_t failed;       /* how many of them have failed */
    uint32_t counts[KINDS];/* calls of each kind so far */
    char root[1024];       /* the folder, absolute and without links */
    char first[512];       /* what failed first: the call and its path */
};

static struct control *control;

/* Maps the file at *path*; returns 0, or -1. */
int faults_begin(const char *path)
{
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        return -1;
    control = map;
    return 0;
}

static int is_below(const char *path)
{
    size_t length = strlen(control->root);
    return !strncmp(path, control->root, length) && (path[length] == '/' || !path[length] ||
        path[length] == ' '); /* "/root (deleted)" */
}

static int fd_path(int fd, char *path, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, name, path, size - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return 1;
}

static int fails(enum kind kind, const char *call, const char *path)
{
    __atomic_add_fetch(&control->counts[kind], 1, __ATOMIC_RELAXED);
    if (!(control->kinds >> kind & 1))
        return 0;
    uint32_t seen = __atomic_add_fetch(&control->seen, 1, __ATOMIC_RELAXED);
    if (!control->nth || seen < control->nth || (seen > control->nth && !control->lasting))
        return 0;
    if (!__atomic_fetch_add(&control->failed, 1, __ATOMIC_RELAXED))
        snprintf(control->first, sizeof control->first, "%s %s", call, path);
    errno = control->error;
    return 1;
}

/* Whether the call *call* on *path*, below the folder *at*, has to fail now; then errno is set. */
static int path_fails(enum kind kind, const char *call, int at, const char *path)
{
    char whole[PATH_MAX];
    if (!control || !control->armed || !path)
        return 0;
    int before = errno;
    int below = 0;
    if (path[0] == '/') {
        below = is_below(path);
        snprintf(whole, sizeof whole, "%s", path);
    } else if (at != AT_FDCWD && fd_path(at, whole, sizeof whole) && is_below(whole)) {
        below = 1;
        size_t length = strlen(whole);
        snprintf(whole + length, sizeof whole - length, "/%s", path);
    }
    errno = before;
    return below && fails(kind, call, whole);
}

/* The same for a call on a descriptor. */
static int fd_fails(enum kind kind, const char *call, int fd)
{
    char path[PATH_MAX];
    if (!control || !control->armed)
        return 0;
    int before = errno;
    int below = fd_path(fd, path, sizeof path) && is_below(path);
    errno = before;
    return below && fails(kind, call, path);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define BY_FD(kind, type, name, fd, parameters, arguments) \
    type name parameters { REAL(name); return fd_fails(kind, #name, fd) ? -1 : real arguments; }
#define BY_PATH(kind, type, name, at, path, parameters, arguments) \
    type name parameters { REAL(name); return path_fails(kind, #name, at, path) ? -1 : real arguments; }

#define OPENS(name, at, parameters, ...) \
    int name parameters \
    { \
        REAL(name); \
        mode_t mode = 0; \
        int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE; \
        if (makes) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return path_fails(makes ? CREATE : OPEN, #name, at, path) ? -1 : real(__VA_ARGS__, mode); \
    }

OPENS(open, AT_FDCWD, (const char *path, int flags, ...), path, flags)
OPENS(open64, AT_FDCWD, (const char *path, int flags, ...), path, flags)
OPENS(openat, at, (int at, const char *path, int flags, ...), at, path, flags)
OPENS(openat64, at, (int at, const char *path, int flags, ...), at, path, flags)

/* Calls that may also transfer less than they are asked to: that is the error 0. */
#define PARTLY(kind, name, amount, parameters, arguments) \
    ssize_t name parameters \
    { \
        REAL(name); \
        if (fd_fails(kind, #name, fd)) { \
            if (control->error) \
                return -1; \
            amount = (amount + 1) / 2; \
        } \
        return real arguments; \
    }

PARTLY(READ, read, size, (int fd, void *to, size_t size), (fd, to, size))
PARTLY(READ, readv, n, (int fd, const struct iovec *to, int n), (fd, to, n))
PARTLY(READ, pread, size, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
PARTLY(READ, pread64, size, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at))
PARTLY(WRITE, write, size, (int fd, const void *from, size_t size), (fd, from, size))
PARTLY(WRITE, writev, n, (int fd, const struct iovec *from, int n), (fd, from, n))
PARTLY(WRITE, pwrite, size, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
PARTLY(WRITE, pwrite64, size, (int fd, const void *from, size_t size, off64_t at),
       (fd, from, size, at))

int close(int fd)
{
    REAL(close);
    if (!fd_fails(CLOSE, "close", fd))
        return real(fd);
    int error = errno;
    real(fd);
    errno = error;
    return -1;
}

BY_FD(FSYNC, int, fsync, fd, (int fd), (fd))
BY_FD(FSYNC, int, fdatasync, fd, (int fd), (fd))
BY_FD(SYNCFS, int, syncfs, fd, (int fd), (fd))

BY_PATH(RENAME, int, rename, AT_FDCWD, to, (const char *from, const char *to), (from, to))
BY_PATH(RENAME, int, renameat, at, to, (int old, const char *from, int at, const char *to), (old, from, at, to))
BY_PATH(RENAME, int, renameat2, at, to,
        (int old, const char *from, int at, const char *to, unsigned flags), (old, from, at, to, flags))
BY_PATH(LINK, int, link, AT_FDCWD, to, (const char *from, const char *to), (from, to))
BY_PATH(LINK, int, linkat, at, to, (int old, const char *from, int at, const char *to, int flags),
        (old, from, at, to, flags))
BY_PATH(UNLINK, int, unlink, AT_FDCWD, path, (const char *path), (path))
BY_PATH(UNLINK, int, rmdir, AT_FDCWD, path, (const char *path), (path))
BY_PATH(UNLINK, int, unlinkat, at, path, (int at, const char *path, int flags), (at, path, flags))
BY_PATH(MKDIR, int, mkdir, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
BY_PATH(MKDIR, int, mkdirat, at, path, (int at, const char *path, mode_t mode), (at, path, mode))

BY_PATH(STAT, int, stat, AT_FDCWD, path, (const char *path, struct stat *to), (path, to))
BY_PATH(STAT, int, stat64, AT_FDCWD, path, (const char *path, struct stat64 *to), (path, to))
BY_PATH(STAT, int, lstat, AT_FDCWD, path, (const char *path, struct stat *to), (path, to))
BY_PATH(STAT, int, lstat64, AT_FDCWD, path, (const char *path, struct stat64 *to), (path, to))
BY_PATH(STAT, int, fstatat, at, path, (int at, const char *path, struct stat *to, int flags),
        (at, path, to, flags))
BY_PATH(STAT, int, fstatat64, at, path, (int at, const char *path, struct stat64 *to, int flags),
        (at, path, to, flags))
BY_PATH(STAT, int, statx, at, path,
        (int at, const char *path, int flags, unsigned mask, struct statx *to), (at, path, flags, mask, to))
BY_FD(FSTAT, int, fstat, fd, (int fd, struct stat *to), (fd, to))
BY_FD(FSTAT, int, fstat64, fd, (int fd, struct stat64 *to), (fd, to))

BY_FD(UTIME, int, futimens, fd, (int fd, const struct timespec times[2]), (fd, times))

int utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
    REAL(utimensat);
    int wrong = path ? path_fails(UTIME, "utimensat", at, path) : fd_fails(UTIME, "utimensat", at);
    return wrong ? -1 : real(at, path, times, flags);
}

BY_PATH(CHMOD, int, chmod, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
BY_FD(CHMOD, int, fchmod, fd, (int fd, mode_t mode), (fd, mode))
BY_PATH(CHMOD, int, fchmodat, at, path, (int at, const char *path, mode_t mode, int flags),
        (at, path, mode, flags))
BY_PATH(SYMLINK, int, symlink, AT_FDCWD, path, (const char *to, const char *path), (to, path))
BY_PATH(SYMLINK, int, symlinkat, at, path, (const char *to, int at, const char *path), (to, at, path))
BY_PATH(READLINK, ssize_t, readlink, AT_FDCWD, path, (const char *path, char *to, size_t size),
        (path, to, size))
BY_PATH(READLINK, ssize_t, readlinkat, at, path, (int at, const char *path, char *to, size_t size),
        (at, path, to, size))

DIR *opendir(const char *path)
{
    REAL(opendir);
    return path_fails(OPENDIR, "opendir", AT_FDCWD, path) ? NULL : real(path);
}

DIR *fdopendir(int fd)
{
    REAL(fdopendir);
    return fd_fails(OPENDIR, "fdopendir", fd) ? NULL : real(fd);
}

struct dirent *readdir(DIR *folder)
{
    REAL(readdir);
    return fd_fails(READDIR, "readdir", dirfd(folder)) ? NULL : real(folder);
}

struct dirent64 *readdir64(DIR *folder)
{
    REAL(readdir64);
    return fd_fails(READDIR, "readdir64", dirfd(folder)) ? NULL : real(folder);
}

BY_PATH(STATVFS, int, statvfs, AT_FDCWD, path, (const char *path, struct statvfs *to), (path, to))
BY_PATH(STATVFS, int, statvfs64, AT_FDCWD, path, (const char *path, struct statvfs64 *to), (path, to))
BY_FD(STATVFS, int, fstatvfs, fd, (int fd, struct statvfs *to), (fd, to))
BY_FD(STATVFS, int, fstatvfs64, fd, (int fd, struct statvfs64 *to), (fd, to))
BY_PATH(STATVFS, int, statfs, AT_FDCWD, path, (const char *path, struct statfs *to), (path, to))
BY_FD(STATVFS, int, fstatfs, fd, (int fd, struct statfs *to), (fd, to))
BY_FD(TRUNCATE, int, ftruncate, fd, (int fd, off_t size), (fd, size))
BY_FD(TRUNCATE, int, ftruncate64, fd, (int fd, off64_t size), (fd, size))
BY_FD(SEEK, off_t, lseek, fd, (int fd, off_t at, int whence), (fd, at, whence))
BY_FD(SEEK, off64_t, lseek64, fd, (int fd, off64_t at, int whence), (fd, at, whence))
BY_PATH(ACCESS, int, access, AT_FDCWD, path, (const char *path, int mode), (path, mode))
BY_PATH(ACCESS, int, faccessat, at, path, (int at, const char *path, int mode, int flags),
        (at, path, mode, flags))
BY_FD(FLOCK, int, flock, fd, (int fd, int how), (fd, how))
BY_FD(COPY, ssize_t, copy_file_range, to,
      (int from, off64_t *at, int to, off64_t *there, size_t size, unsigned flags),
      (from, at, to, there, size, flags))
BY_FD(COPY, ssize_t, sendfile, to, (int to, int from, off_t *at, size_t size), (to, from, at, size))
BY_FD(COPY, ssize_t, sendfile64, to, (int to, int from, off64_t *at, size_t size), (to, from, at, size))
BY_FD(ALLOCATE, int, fallocate, fd, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
BY_FD(ALLOCATE, int, fallocate64, fd, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size))

int posix_fallocate(int fd, off_t at, off_t size)
{
    REAL(posix_fallocate);
    return fd_fails(ALLOCATE, "posix_fallocate", fd) ? errno : real(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    REAL(posix_fallocate64);
    return fd_fails(ALLOCATE, "posix_fallocate64", fd) ? errno : real(fd, at, size);
}

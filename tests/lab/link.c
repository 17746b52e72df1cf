/*
 * A link between two network namespaces, with a delay, random loss, a rate and a queue.
 *
 *     link NAMESPACE_A NAMESPACE_B DELAY_US LOSS_PPM RATE_BIT_PER_S QUEUE_BYTES SEED
 *
 * Makes a TUN device in each namespace (`tun0`, or the one named in NAMESPACE/DEVICE) and carries
 * packets between them. Each direction is a drop-tail queue of QUEUE_BYTES in front of a line of
 * RATE_BIT_PER_S (0: endless), which loses LOSS_PPM of a million packets and delivers DELAY_US
 * later. Prints "ready", and runs until it is ended. What the kernel's netem does, where the kernel
 * has none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MTU = 9216, SLOTS = 1 << 15, BURST = 64 };

struct packet {
    uint64_t due; /* when it arrives; nanoseconds */
    uint32_t size;
    unsigned char bytes[MTU];
};

/* One direction: a ring of packets on their way, oldest first. */
struct way {
    int from, to;
    struct packet *ring;
    uint32_t first, count;
    uint64_t line_free; /* when the line has sent all it has accepted */
    uint64_t random;
};

static struct {
    uint64_t delay; /* nanoseconds */
    uint64_t loss;  /* of 2^32 */
    double rate;    /* bytes per nanosecond; 0: endless */
    uint64_t queue; /* bytes */
} path;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64*: the same packets are lost in each run with the same seed and the same traffic. */
static uint32_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (uint32_t)((x * 0x2545F4914F6CDD1Du) >> 32);
}

static int open_device(const char *where) {
    char name[128];
    const char *slash = strchr(where, '/');
    const char *interface = slash ? slash + 1 : "tun0";
    snprintf(name, sizeof name, "/run/netns/%.*s", slash ? (int)(slash - where) : 100, where);
    int there = open(name, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) < 0) die(name);
    close(there);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) die("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    if (ioctl(device, TUNSETIFF, &request) < 0) die("TUNSETIFF");
    return device;
}

/* Take one packet in; 0 when there is none, or no slot for it. */
static int accept_one(struct way *way) {
    if (way->count == SLOTS) return 0;
    /* An empty ring begins anew, so that memory is touched only as far as it is needed. */
    if (way->count == 0) way->first = 0;
    struct packet *packet = &way->ring[(way->first + way->count) % SLOTS];
    ssize_t size = read(way->from, packet->bytes, MTU);
    if (size <= 0) return 0;
    uint64_t time = now(), sent = time;
    if (path.rate > 0) {
        uint64_t start = way->line_free > time ? way->line_free : time;
        if ((double)(start - time) * path.rate + (double)size > (double)path.queue) return 1;
        sent = start + (uint64_t)((double)size / path.rate);
    }
    /* Lost on the line, so that it has taken its time there. */
    way->line_free = sent;
    if (next_random(&way->random) < path.loss) return 1;
    packet->size = (uint32_t)size;
    packet->due = sent + path.delay;
    way->count++;
    return 1;
}

/* Deliver what is due; return when the next one is, or UINT64_MAX. */
static uint64_t deliver(struct way *way) {
    while (way->count > 0) {
        struct packet *packet = &way->ring[way->first % SLOTS];
        if (packet->due > now()) return packet->due;
        /* A receiver without room loses it, as behind any last hop. */
        if (write(way->to, packet->bytes, packet->size) < 0 && errno != EAGAIN && errno != EIO)
            die("tun0");
        way->first++;
        way->count--;
    }
    return UINT64_MAX;
}

static void wait_until(uint64_t due, const struct way *ways) {
    struct pollfd ready[2] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}};
    uint64_t time = now(), span = due > time ? due - time : 0;
    if (span > 1000000000u) span = 1000000000u;
    struct timespec limit = {(time_t)(span / 1000000000u), (long)(span % 1000000000u)};
    ppoll(ready, 2, &limit, NULL);
}

int main(int count, char **arguments) {
    if (count != 8) {
        fprintf(stderr, "link: seven arguments are needed; see the top of link.c\n");
        return 2;
    }
    path.delay = strtoull(arguments[3], NULL, 10) * 1000u;
    path.loss = (uint64_t)(strtod(arguments[4], NULL) * 4294.967296);
    path.rate = strtod(arguments[5], NULL) / 8e9;
    path.queue = strtoull(arguments[6], NULL, 10);
    int devices[2] = {open_device(arguments[1]), open_device(arguments[2])};
    struct way ways[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        ways[i].from = devices[i];
        ways[i].to = devices[1 - i];
        ways[i].random = strtoull(arguments[7], NULL, 10) * 2 + (uint64_t)i + 1;
        ways[i].ring = malloc(sizeof(struct packet) * SLOTS);
        if (ways[i].ring == NULL) die("malloc");
    }
    prctl(PR_SET_TIMERSLACK, 1);
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint64_t due = UINT64_MAX;
        int busy = 0;
        for (int i = 0; i < 2; i++) {
            for (int taken = 0; taken < BURST && accept_one(&ways[i]); taken++) busy = 1;
            uint64_t next = deliver(&ways[i]);
            if (next < due) due = next;
        }
        if (!busy) wait_until(due, ways);
    }
}

// Command receiver takes a dial code that "dcsend send" has printed, and receives a whole tree into an
// empty folder: receiver CODE FOLDER. It is written from PROTOCOL.md; S-1, C-5 and so on are its rules.
//
// To be short, it reads a code only as it was printed or as a link (not S-9), goes on with no unfinished
// file (C-21), never declines (C-22), sets no times, and shows no texts and no typed lines (L-4). The
// violations C-1 to C-8 are not policed: encoding/json reads more, and only what could harm is refused.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/netip"
	"os"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"
)

const (
	maxControl, maxFrame, headerSize             = 65536, 64960, 24
	maxEntries, maxSafe, window                  = 1000000, 1<<53 - 1, 8 << 20
	dataFrame, holeFrame, abortFrame, batchFrame = 1, 2, 3, 4
)

// A failure ends a transfer. Its reason is that of the Cancel that is sent (E-2); if empty, none is.
type failure struct{ reason, message string }

func ensure(ok bool, reason, message string) {
	if !ok {
		panic(failure{reason, message})
	}
}

func must(ok bool, message string) { ensure(ok, "protocol", message) }
func check(err error)              { ensure(err == nil, "", fmt.Sprint(err)) }

// parseCode gives the bytes and the addresses of a code.
func parseCode(text string) (data []byte, addresses []netip.AddrPort) {
	encoding := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	data, _ = encoding.DecodeString(strings.TrimPrefix(text, "dc")) // S-7
	whole := "dc"+encoding.EncodeToString(data) == text
	if _, digits, link := strings.Cut(text, "#"); link { // S-8
		number := new(big.Int)
		_, whole = number.SetString("0"+digits, 10)
		data = number.Bytes()
	}
	crc := uint16(0xFFFF)
	for _, b := range data {
		crc ^= uint16(b) << 8
		for i := 0; i < 8; i++ {
			crc = crc<<1 ^ 0x1021*(crc>>15)
		}
	}
	ensure(whole && len(data) > 58 && crc == 0, "", "the code is damaged") // the CRC with its CRC is 0
	ensure(data[0] == 1, "", "the code is from a newer program")           // S-4
	plain, mapped := 4*int(data[1]>>6)+16*int(data[1]>>4&3), 6*int(data[1]>>2&3)+18*int(data[1]&3)
	ensure(len(data) == 58+plain+mapped, "", "the code has a wrong length")
	port, seen, rest := binary.BigEndian.Uint16(data[50:]), map[netip.AddrPort]bool{}, data[56:len(data)-2]
	for group, size := range []int{4, 16, 6, 18} { // S-1 to S-3
		for n := data[1] >> (6 - 2*group) & 3; n > 0; n-- {
			ip, _ := netip.AddrFromSlice(rest[:size&^3])
			addr := netip.AddrPortFrom(ip, port)
			if group >= 2 {
				addr = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(rest[size-2:]))
			}
			usable := !ip.IsUnspecified() && !ip.IsMulticast() && !ip.Is4In6() && ip.String() != "255.255.255.255"
			usable = usable && port != 0 && addr.Port() != 0 && (group < 2 || addr.Port() != port) && !seen[addr]
			ensure(usable, "", "the code has an impossible address")
			seen[addr], rest, addresses = true, rest[size:], append(addresses, addr)
		}
	}
	return data, addresses
}

// dial makes a connection with three open channels, and needs no descriptions for it (I-1 to I-7, H-1).
func (s *session) dial(code []byte, addresses []netip.AddrPort) bool {
	var engine webrtc.SettingEngine
	engine.DetachDataChannels()
	engine.SetReceiveMTU(1 << 14) // packets may be larger than Pion expects (T-12)
	engine.SetIncludeLoopbackCandidate(addresses[0].Addr().IsLoopback())
	api := webrtc.NewAPI(webrtc.WithSettingEngine(engine))
	gatherer, err := api.NewICEGatherer(webrtc.ICEGatherOptions{})
	check(err)
	check(gatherer.Gather())
	ice, role := api.NewICETransport(gatherer), webrtc.ICERoleControlling
	for i, a := range addresses { // I-4
		check(ice.AddRemoteCandidate(&webrtc.ICECandidate{Foundation: fmt.Sprint(i), Priority: uint32(2130706431 - i),
			Address: a.Addr().String(), Protocol: webrtc.ICEProtocolUDP, Port: a.Port(), Component: 1,
			Typ: webrtc.ICECandidateTypeHost}))
	}
	dtls, err := api.NewDTLSTransport(ice, nil)
	check(err)
	sctp := api.NewSCTPTransport(dtls)
	sctp.OnDataChannel(func(*webrtc.DataChannel) { dtls.Stop() }) // H-2
	s.close, s.channels = dtls.Stop, map[string]datachannel.ReadWriteCloser{}
	ours, err := gatherer.GetLocalParameters()
	check(err)
	certificate, err := dtls.GetLocalParameters()
	check(err)
	var own []byte
	fmt.Sscanf(strings.ReplaceAll(certificate.Fingerprints[0].Value, ":", ""), "%x", &own)
	mac := hmac.New(sha256.New, code[2:18]) // S-11
	mac.Write([]byte("dcsend ice-pwd"))
	theirs := webrtc.ICEParameters{Password: base64.StdEncoding.EncodeToString(mac.Sum(nil)[:18]),
		UsernameFragment: "dc1/" + base64.RawStdEncoding.EncodeToString(own) + ours.Password} // I-3
	expected := webrtc.DTLSParameters{Role: webrtc.DTLSRoleServer, Fingerprints: []webrtc.DTLSFingerprint{{
		Algorithm: "sha-256", Value: strings.ReplaceAll(fmt.Sprintf("% x", code[18:50]), " ", ":")}}}
	defer time.AfterFunc(4*time.Second, func() { gatherer.Close() }).Stop() // Pion is silent about a 500 (I-15)
	if ice.Start(nil, theirs, &role) != nil || dtls.Start(expected) != nil || sctp.Start(webrtc.SCTPCapabilities{}) != nil {
		return false
	}
	for i, label := range []string{"control", "data", "text"} { // H-3
		id := uint16(2 * i)
		channel, err := api.NewDataChannel(sctp, &webrtc.DataChannelParameters{Label: label, Ordered: true, ID: &id})
		check(err)
		s.channels[label], err = channel.Detach()
		check(err)
		go s.listen(label, s.channels[label])
	}
	return true
}

// A message is what has arrived: the fields of any control message of a sender, a frame, or a text.
type message struct {
	label, Type, Role, Reason, Message string
	isText, Last                       bool
	data                               []byte // nil: the connection is lost
	acked                              int64  // when it arrived: that is the time that counts for W-3
	frame                              frame
	Versions                           json.RawMessage
	Entries                            []entry
	LeftOut                            struct{ Unreadable uint64 } `json:"left_out"`
}

type entry struct {
	Path, Kind, Target string
	Size, Mode         *int64
}

type frame struct {
	kind, end            byte
	number               int
	offset, length, cost int64 // the cost is what it takes of the window (W-2)
	payload, digests     []byte
}

func parseFrame(m []byte) frame {
	must(len(m) >= headerSize && len(m) <= maxFrame, "a frame is too short or too long")
	crc := crc32.Update(crc32.ChecksumIEEE(m[:20]), crc32.IEEETable, make([]byte, 4))
	crc = crc32.Update(crc, crc32.IEEETable, m[headerSize:])
	ensure(crc == binary.BigEndian.Uint32(m[20:]), "integrity", "a frame arrived damaged") // F-2
	f := frame{kind: m[0], end: m[1], number: int(binary.BigEndian.Uint32(m[4:])), cost: int64(len(m)),
		offset: int64(binary.BigEndian.Uint64(m[8:])), length: int64(binary.BigEndian.Uint32(m[16:]))}
	payload, digests := f.length, int64(f.end)
	ok := m[2] == 0 && m[3] == 0 && f.number < maxEntries && f.offset >= 0 && f.offset <= maxSafe-f.length
	switch f.kind {
	case dataFrame:
		ok = ok && f.end <= 1 && f.length+digests > 0
	case holeFrame:
		ok = ok && f.end == 0 && f.length >= 1 && f.length <= 1<<30
		payload, f.cost = 0, headerSize+f.length/1024
	case abortFrame:
		ok = ok && f.end == 0 && f.length <= 500 && utf8.Valid(m[headerSize:])
	default:
		ok = ok && f.kind == batchFrame && f.end == 0 && f.offset >= 1 && f.offset < maxFrame
		digests = f.offset
	}
	must(ok && int64(len(m)) == headerSize+payload+sha256.Size*digests, "a frame breaks a rule") // F-3
	f.payload, f.digests = m[headerSize:headerSize+payload], m[headerSize+payload:]
	return f
}

var (
	kinds = map[string]struct{ size, mode int64 }{ // the largest size, and the usual mode
		"file": {maxSafe, 0o644}, "text": {1 << 20, 0o644}, "directory": {0, 0o755}, "link": {}}
	unsafe = regexp.MustCompile(`^/|^[A-Za-z]:|\\|[\x00-\x1f\x{7f}-\x{9f}]|(?i:\.dcsend-(part|journal)[. ]*(/|$))`)
	dotted = regexp.MustCompile(`(^|/)\.{0,2}(/|$)`) // or empty
	device = regexp.MustCompile(`(?i)(^|/)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *([.:/]|$)|[<>:"|?*]|[. ](/|$)`)
	rising = regexp.MustCompile(`^(\.{0,2}(/|$))*`)
)

// safe says whether a path is valid by N-2 to N-7, or the target of a link, which may have dots.
func safe(path string, link bool) bool {
	ok := len(path) <= 4096 && utf8.ValidString(path) && strings.Count(path, "/") < 128 && !unsafe.MatchString(path)
	for _, name := range strings.Split(path, "/") {
		ok = ok && len(utf16.Encode([]rune(name))) <= 255
	}
	return ok && (link || !dotted.MatchString(path) && (runtime.GOOS != "windows" || !device.MatchString(path)))
}

// inside says whether a link stays in the tree (N-8).
func inside(path, target string) bool {
	start := rising.FindString(target)
	return safe(target, true) && !strings.Contains("/"+target[len(start):]+"/", "/../") &&
		strings.Count(start, "..") <= strings.Count(path, "/")
}

type session struct {
	folder                                string // with a slash
	close                                 func() error
	channels                              map[string]datachannel.ReadWriteCloser
	arrived                               chan message
	mutex                                 sync.Mutex // of what is sent:
	accepted, complete, last, ended       bool       // Accept, Complete, one of Complete and Cancel, Cancel
	entries                               []entry
	batch                                 frame        // what is left of it
	acked                                 atomic.Int64 // as in W-2
	size, received, written, files, bytes int64        // of control messages; as in W-2; that are verified
	failed, missed                        int          // entries that were accepted, and others
}

// send sends one control message; none follows Complete or Cancel (C-30, C-35).
func (s *session) send(kind string, fields map[string]any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	fields["type"] = kind
	if text, _ := json.Marshal(fields); !s.last && (s.accepted || kind != "working") {
		s.channels["control"].WriteDataChannel(text, true)
	}
	s.accepted = s.accepted || fields["last"] == true
	s.ended = s.ended || kind == "cancel"
	s.last = s.last || s.ended || kind == "complete"
}

// live sends random letters every 5 s, and Working every 20 s (L-2, C-29).
func (s *session) live() {
	for seed, tick := make([]byte, 9), 1; ; tick++ {
		time.Sleep(5 * time.Second)
		rand.Read(seed)
		letters := base32.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef").EncodeToString(seed)[:15]
		s.mutex.Lock()
		if !s.ended {
			s.channels["text"].WriteDataChannel([]byte(letters), true)
		}
		s.mutex.Unlock()
		if tick%4 == 0 {
			s.send("working", map[string]any{})
		}
	}
}

// listen passes on what arrives in one channel, and in the end that the connection is lost.
func (s *session) listen(label string, channel datachannel.ReadWriteCloser) {
	for buffer := make([]byte, 262144); ; { // T-6
		n, isText, err := channel.ReadDataChannel(buffer)
		if err != nil || isText && !utf8.Valid(buffer[:n]) { // T-8, E-3
			s.arrived <- message{}
			return
		}
		m := message{label: label, isText: isText, data: append([]byte{}, buffer[:n]...), acked: s.acked.Load()}
		s.arrived <- m
	}
}

// next waits for a message of one type; any other one is a violation (C-41).
func (s *session) next(kind string, limit time.Duration) message {
	for started, heard := time.Now(), time.Now(); ; {
		if news := s.written - s.acked.Load(); news >= 1<<20 || news > 0 && len(s.arrived) == 0 { // C-25
			s.acked.Add(news)
			s.send("ack", map[string]any{"bytes": s.written}) // C-23
		}
		select {
		case m := <-s.arrived:
			heard = time.Now() // L-3
			s.parse(&m)
			switch m.Type {
			case kind:
				return m
			case "cancel":
				panic(failure{"", fmt.Sprintf("the sender has ended it: %+.500q (%+.64q)", m.Message, m.Reason)})
			case "working":
				must(kind == "frame" || kind == "bye", "Working is not due")
				started = heard
			default: // what the channel text brings has no type (L-4)
				must(m.Type == "", "a message is not due")
			}
		case <-time.After(time.Second):
		}
		ensure(time.Since(started) <= limit && time.Since(heard) <= 30*time.Second, "timeout", "the sender is silent")
	}
}

func (s *session) parse(m *message) {
	ensure(m.data != nil, "", "the connection is lost")                                          // C-39
	must(m.label == "text" || m.isText == (m.label == "control"), "a message of the wrong kind") // H-5
	switch m.label {
	case "control":
		s.size += int64(len(m.data))
		must(s.size <= 256<<20 && len(m.data) <= maxControl, "a message or the manifest is too long") // C-1, C-16
		must(json.Unmarshal(m.data, m) == nil && m.Type != "" && m.Type != "frame", "an unknown message")
	case "data":
		m.Type, m.frame = "frame", parseFrame(m.data)
		before := s.received - m.acked // W-3
		must(before == 0 || before+m.frame.cost <= window, "more is in flight than the window")
		s.received += m.frame.cost
	}
}

// conclude reports the status of an entry (C-26); after a failure nothing more is done with it.
func (s *session) conclude(n int, status string, err error) {
	if err != nil {
		fmt.Printf("%s: %+q (%+q)\n", status, s.entries[n].Path, err.Error())
		s.failed, s.entries[n].Kind = s.failed+1, ""
	}
	if err != nil || status == "ok" {
		s.send("verdict", map[string]any{"files": [][2]any{{n, status}}})
	}
}

// offer takes the manifest (C-15 to C-18), and accepts what can be saved (C-19).
func (s *session) offer() {
	names, skip := 0, [][2]any{}
	for limit, last := time.Duration(1<<62), false; !last; limit = time.Minute { // D-12, D-6
		m := s.next("manifest", limit)
		s.missed, last = s.missed+int(m.LeftOut.Unreadable), m.Last
		must(last || len(m.Entries) > 0 && m.LeftOut.Unreadable == 0, "an empty Manifest, or an early left_out")
		for _, e := range m.Entries {
			kind, known := kinds[e.Kind]
			sized := e.Size == nil && e.Kind == "file" || e.Size != nil && *e.Size >= 0 && *e.Size <= kind.size
			must(known && sized && (e.Target != "") == (e.Kind == "link"), "an entry breaks a rule")
			if e.Mode == nil {
				e.Mode = &kind.mode
			}
			must(*e.Mode >= 0 && *e.Mode <= 0o777, "a mode is out of range")
			n, reason := len(s.entries), ""
			switch {
			case !safe(e.Path, false): // N-1
				s.missed, reason = s.missed+1, "unsafe"
			case e.Kind == "text":
				s.missed, reason = s.missed+1, "unsupported"
			case e.Kind == "link" && !inside(e.Path, e.Target): // N-8
				reason = "unsupported"
			}
			if reason != "" {
				fmt.Printf("skipped: %+q (%s)\n", e.Path, reason)
				skip, e.Kind = append(skip, [2]any{n, reason}), ""
			}
			s.entries, names = append(s.entries, e), names+len(e.Path)+len(e.Target)
			must(n < maxEntries && names <= 8<<20+256*(n+1), "the manifest is too long") // C-16
		}
	}
	for ; len(skip) > 1000; skip = skip[1000:] {
		s.send("accept", map[string]any{"window": window, "skip": skip[:1000], "have": skip[:0], "last": false})
	}
	s.send("accept", map[string]any{"window": window, "skip": skip, "have": skip[:0], "last": true})
}

// frame gives the next frame; a BATCH is one DATA with END for each of its files (F-9).
func (s *session) frame(n int) frame {
	b, size := &s.batch, s.entries[n].Size
	if len(b.digests) == 0 {
		f := s.next("frame", time.Minute).frame // D-7
		s.written += f.cost                     // which is told when the next one is asked for (W-4)
		if f.kind != batchFrame {
			return f
		}
		*b = f
		must(f.number == n, "a batch is not due")
	}
	must(size != nil && *size <= int64(len(b.payload)), "a batch has a file of another size")
	f := frame{kind: dataFrame, end: 1, number: n, length: *size, payload: b.payload[:*size], digests: b.digests[:32]}
	b.payload, b.digests = b.payload[*size:], b.digests[32:]
	must(len(b.payload) == 0 || len(b.digests) > 0, "a batch has files of other sizes")
	return f
}

// receive takes the frames of one file, and saves it (F-4 to F-12).
func (s *session) receive(n int) {
	f, next, holes := frame{}, int64(0), int64(0)
	e, digest, status := s.entries[n], sha256.New(), "failed"
	name, temporary := s.folder+e.Path, s.folder+"receiver.dcsend-part" // N-6
	file, failed := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	defer os.Remove(temporary)
	defer file.Close()
	try := func(err error) { // frames may still come when a file has failed (C-28)
		if failed == nil {
			failed = err
		}
	}
	for ; f.end == 0; next += f.length {
		f = s.frame(n)
		must(f.number == n && f.offset == next, "a frame is not due") // F-5
		must(e.Size == nil || f.kind == abortFrame || next+f.length <= *e.Size, "more content than the file has")
		switch f.kind {
		case abortFrame: // F-10
			s.conclude(n, status, fmt.Errorf("given up by the sender: %s", f.payload))
			return
		case holeFrame:
			must(e.Size != nil || holes+f.length <= next-holes+1<<30, "too many zeros in a stream") // F-8
			zeros := make([]byte, 1<<16)
			holes += f.length
			digest.Write(zeros[:f.length&0xFFFF]) // F-11
			for i := f.length >> 16; i > 0; i-- {
				digest.Write(zeros)
			}
		default:
			digest.Write(f.payload)
			_, err := file.WriteAt(f.payload, next)
			try(err)
		}
	}
	must(e.Size == nil || next == *e.Size, "a file ends early") // F-7
	try(file.Truncate(next))
	try(file.Chmod(os.FileMode(*e.Mode)))
	try(file.Close())
	try(os.MkdirAll(path.Dir(name), 0o755))                            // C-18
	if failed == nil && string(digest.Sum(nil)) != string(f.digests) { // F-12
		failed, status = fmt.Errorf("its digest differs"), "mismatch"
	} else if failed == nil {
		failed = os.Link(temporary, name) // never in place of another file
	}
	if failed == nil {
		s.files, s.bytes, status = s.files+1, s.bytes+next, "ok"
	}
	s.conclude(n, status, failed)
}

// transfer is the side of a receiver, from Hello to Bye.
func (s *session) transfer() {
	s.send("hello", map[string]any{"versions": []int{1}, "agent": "receiver.go/2", "role": "receiver",
		"features": []string{}, "max_frame": maxFrame}) // C-9
	hello := s.next("hello", 15*time.Second)
	ensure(regexp.MustCompile(`\b1\b`).Match(hello.Versions), "version", "no common version") // C-10
	must(hello.Role == "sender", "both sides want to receive")                                // C-11
	s.offer()
	for n, e := range s.entries {
		switch e.Kind {
		case "file":
			s.receive(n)
		case "directory":
			s.conclude(n, "failed", os.MkdirAll(s.folder+e.Path, os.FileMode(*e.Mode|0o700)))
		case "link":
			s.conclude(n, "failed", os.MkdirAll(path.Dir(s.folder+e.Path), 0o755))
		}
	}
	must(len(s.batch.digests) == 0, "a batch has too many files")
	for n, e := range s.entries { // links come last, so nothing is written through them (N-9)
		if e.Kind == "link" {
			s.conclude(n, "failed", os.Symlink(e.Target, s.folder+e.Path))
		}
	}
	s.send("ack", map[string]any{"bytes": s.written})
	s.send("complete", map[string]any{"ok": s.failed == 0, "files": s.files, "bytes": s.bytes}) // C-30
	s.complete = true
	s.next("bye", 15*time.Second)
}

// end tells the peer and the person how it has ended.
func (s *session) end() {
	var end failure
	if r := recover(); r != nil {
		end = r.(failure) // anything else is a mistake in this program
	}
	switch over := s.complete && end.reason != "protocol" && end.reason != "integrity"; { // C-36, C-39, D-9
	case over && s.failed+s.missed > 0:
		end.message = fmt.Sprintf("%d entries failed, %d were refused or could not be read", s.failed, s.missed)
	case over:
		end.message = ""
	case end.reason != "":
		s.send("cancel", map[string]any{"reason": end.reason, "message": end.message})
		time.Sleep(2 * time.Second) // C-35
	}
	s.close()
	if end.message != "" {
		fmt.Fprintln(os.Stderr, "receiver:", end.message)
		os.Exit(1)
	}
}

func main() {
	s := &session{arrived: make(chan message, 256), close: func() error { return nil }}
	defer s.end()
	ensure(len(os.Args) == 3, "", "usage: receiver CODE FOLDER")
	code, addresses := parseCode(os.Args[1])
	s.folder = os.Args[2] + "/"
	found, err := os.ReadDir(s.folder)
	ensure(err == nil && len(found) == 0, "", "FOLDER must be an empty folder") // so it has no links (N-9)
	for limit := time.Now().Add(15 * time.Second); !s.dial(code, addresses); {  // D-2, I-17
		ensure(time.Now().Before(limit), "", "nothing answers: the code may be used up or expired")
	}
	go s.live()
	s.transfer()
}

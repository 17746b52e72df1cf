// A peer for tests that speaks Pion: what the data-channels demo does, in both roles.
//
// Standard input has a session description first, base64 of JSON on one line (for an offerer, the
// answer), then commands, a line each:
//
//	close         say goodbye and end
//	send TEXT     send a text on every open channel
//	binary HEX    send bytes on every open channel
//	say LABEL TEXT    send a text on one channel
//	bytes LABEL HEX   send bytes on one channel
//	channel LABEL open one more channel
//	negotiate LABEL ID  open one that the other side opens, too
//	shut LABEL    close channels
//
// Standard output has our own description, then what happens, in the demo's words. With -turn it is
// a TURN server instead, which prints its port.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/turn/v2"
	"github.com/pion/webrtc/v3"
)

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var (
	offers         = flag.Bool("offer", false, "make the offer")
	label          = flag.String("label", "data", "label of the channel that an offerer opens")
	ordered        = flag.Bool("ordered", true, "whether its messages keep their order")
	maxRetransmits = flag.Int("max-retransmits", -1, "how often its messages are sent again")
	maxLifetime    = flag.Int("max-lifetime", -1, "for how many milliseconds")
	protocol       = flag.String("protocol", "", "its subprotocol")
	negotiated     = flag.Int("negotiated", -1, "its stream id, opened on both sides")
	interval       = flag.Duration("interval", 5*time.Second, "between random messages")
	echoes         = flag.Bool("echo", false, "send back what comes, and nothing else")
	server         = flag.String("ice-server", "", "turn:USER:PASSWORD@HOST:PORT, used alone")
	isTurn         = flag.String("turn", "", "be a TURN server on this address, for user:password")

	mutex sync.Mutex
	open  = map[*webrtc.DataChannel]bool{}
)

func main() {
	flag.Parse()
	if *isTurn != "" {
		relay()
		return
	}
	configuration := webrtc.Configuration{}
	if *server != "" {
		account, host, _ := strings.Cut(strings.TrimPrefix(*server, "turn:"), "@")
		user, password, _ := strings.Cut(account, ":")
		configuration.ICETransportPolicy = webrtc.ICETransportPolicyRelay
		configuration.ICEServers = []webrtc.ICEServer{
			{URLs: []string{"turn:" + host}, Username: user, Credential: password},
		}
	}
	peer, err := webrtc.NewPeerConnection(configuration)
	check(err)
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		fmt.Printf("Peer Connection State has changed: %s\n", state)
		if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
			fmt.Printf("Peer Connection has gone to %s exiting\n", state)
			os.Exit(0)
		}
	})
	peer.OnDataChannel(func(channel *webrtc.DataChannel) {
		fmt.Printf("New DataChannel %s %d\n", channel.Label(), *channel.ID())
		describe(channel)
		follow(channel)
	})
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	if *offers || *negotiated >= 0 {
		channel, err := peer.CreateDataChannel(*label, options())
		check(err)
		follow(channel)
	}
	if *offers {
		offer, err := peer.CreateOffer(nil)
		check(err)
		show(peer, offer)
		check(peer.SetRemoteDescription(read(input)))
	} else {
		check(peer.SetRemoteDescription(read(input)))
		answer, err := peer.CreateAnswer(nil)
		check(err)
		show(peer, answer)
	}
	obey(peer, input)
}

func options() *webrtc.DataChannelInit {
	init := &webrtc.DataChannelInit{Ordered: ordered, Protocol: protocol}
	if *maxRetransmits >= 0 {
		number := uint16(*maxRetransmits)
		init.MaxRetransmits = &number
	}
	if *maxLifetime >= 0 {
		number := uint16(*maxLifetime)
		init.MaxPacketLifeTime = &number
	}
	if *negotiated >= 0 {
		yes, id := true, uint16(*negotiated)
		init.Negotiated, init.ID = &yes, &id
	}
	return init
}

// describe prints how a channel was opened by the other side.
func describe(channel *webrtc.DataChannel) {
	number := func(value *uint16) string {
		if value == nil {
			return "none"
		}
		return fmt.Sprint(*value)
	}
	fmt.Printf("Options of '%s': ordered=%t retransmits=%s lifetime=%s protocol='%s'\n",
		channel.Label(), channel.Ordered(), number(channel.MaxRetransmits()),
		number(channel.MaxPacketLifeTime()), channel.Protocol())
}

func follow(channel *webrtc.DataChannel) {
	channel.OnOpen(func() {
		fmt.Printf("Data channel '%s'-'%d' open. Random messages will now be sent to any connected"+
			" DataChannels every %g seconds\n", channel.Label(), *channel.ID(), interval.Seconds())
		mutex.Lock()
		open[channel] = true
		mutex.Unlock()
		if *echoes {
			return
		}
		for range time.NewTicker(*interval).C {
			message := random()
			fmt.Printf("Sending '%s'\n", message)
			if channel.SendText(message) != nil {
				return
			}
		}
	})
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		if *echoes {
			// Who waits here reads nothing, so that the window closes.
			for channel.BufferedAmount() > 1<<20 {
				time.Sleep(time.Millisecond)
			}
			if message.IsString {
				channel.SendText(string(message.Data))
			} else {
				channel.Send(message.Data)
			}
			return
		}
		if message.IsString {
			fmt.Printf("Message from DataChannel '%s': '%s'\n", channel.Label(), message.Data)
		} else {
			fmt.Printf("Message from DataChannel '%s': %d bytes %x\n",
				channel.Label(), len(message.Data), message.Data)
		}
	})
	channel.OnClose(func() {
		fmt.Printf("Data channel '%s'-'%d' closed\n", channel.Label(), *channel.ID())
		mutex.Lock()
		delete(open, channel)
		mutex.Unlock()
	})
}

// obey carries out commands; the end of input is no command.
func obey(peer *webrtc.PeerConnection, input *bufio.Reader) {
	for {
		line, err := input.ReadString('\n')
		if err != nil {
			select {}
		}
		command, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		mutex.Lock()
		channels := []*webrtc.DataChannel{}
		for channel := range open {
			channels = append(channels, channel)
		}
		mutex.Unlock()
		switch command {
		case "close":
			check(peer.Close())
			// Pion tells the new state in a goroutine of its own, which ends the program.
			select {}
		case "channel":
			channel, err := peer.CreateDataChannel(rest, nil)
			check(err)
			follow(channel)
		case "negotiate":
			label, number, _ := strings.Cut(rest, " ")
			yes, id := true, uint16(0)
			_, err := fmt.Sscan(number, &id)
			check(err)
			init := &webrtc.DataChannelInit{Negotiated: &yes, ID: &id}
			channel, err := peer.CreateDataChannel(label, init)
			check(err)
			follow(channel)
		case "shut":
			for _, channel := range channels {
				if channel.Label() == rest {
					check(channel.Close())
				}
			}
		case "say", "bytes":
			label, content, _ := strings.Cut(rest, " ")
			for _, channel := range channels {
				if channel.Label() != label {
					continue
				}
				if command == "say" {
					check(channel.SendText(content))
				} else {
					data, err := hex.DecodeString(content)
					check(err)
					check(channel.Send(data))
				}
			}
		case "send":
			for _, channel := range channels {
				check(channel.SendText(rest))
			}
		case "binary":
			data, err := hex.DecodeString(rest)
			check(err)
			for _, channel := range channels {
				check(channel.Send(data))
			}
		}
	}
}

func show(peer *webrtc.PeerConnection, description webrtc.SessionDescription) {
	gathered := webrtc.GatheringCompletePromise(peer)
	check(peer.SetLocalDescription(description))
	<-gathered
	text, err := json.Marshal(*peer.LocalDescription())
	check(err)
	fmt.Println(base64.StdEncoding.EncodeToString(text))
}

func read(input *bufio.Reader) webrtc.SessionDescription {
	line, err := input.ReadString('\n')
	check(err)
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	check(err)
	description := webrtc.SessionDescription{}
	check(json.Unmarshal(text, &description))
	return description
}

func random() string {
	message := make([]byte, 15)
	for i := range message {
		number, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		check(err)
		message[i] = letters[number.Int64()]
	}
	return string(message)
}

// relay serves TURN until it is killed.
func relay() {
	listener, err := net.ListenPacket("udp4", *isTurn+":0")
	check(err)
	_, err = turn.NewServer(turn.ServerConfig{
		Realm: "dcsend",
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, "password"), user == "user"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: listener,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.ParseIP(*isTurn), Address: *isTurn,
			},
		}},
	})
	check(err)
	fmt.Println(listener.LocalAddr().(*net.UDPAddr).Port)
	select {}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

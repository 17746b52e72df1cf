// The bare Pion data channel, one end of it:
//
//	pion send BYTES LIMIT      pion receive BYTES
//
// As bench/bare.py, whose language it speaks.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v3"
)

// Those of bench/bare.py.
const (
	megabyte    = 1_000_000
	messageSize = 64_960
	highWater   = 4_000_000
	lowWater    = 1_000_000
	patience    = 30 * time.Second
	tellEach    = 250 * time.Millisecond
)

func main() {
	total, err := strconv.ParseInt(os.Args[2], 10, 64)
	check(err)
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	peer, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	check(err)
	if os.Args[1] == "send" {
		limit, err := strconv.ParseFloat(os.Args[3], 64)
		check(err)
		send(peer, input, total, time.Duration(limit*float64(time.Second)))
	} else {
		receive(peer, input, total)
	}
	check(peer.Close())
}

func send(peer *webrtc.PeerConnection, input *bufio.Reader, total int64, limit time.Duration) {
	channel, err := peer.CreateDataChannel("data", nil)
	check(err)
	opened, finished := make(chan struct{}), make(chan struct{})
	room := make(chan struct{}, 1)
	var received int64
	channel.OnOpen(func() { close(opened) })
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		told, err := strconv.ParseInt(string(message.Data), 10, 64)
		check(err)
		atomic.StoreInt64(&received, told)
		if told == total {
			close(finished)
		}
	})
	channel.SetBufferedAmountLowThreshold(lowWater)
	channel.OnBufferedAmountLow(func() {
		select {
		case room <- struct{}{}:
		default:
		}
	})
	offer, err := peer.CreateOffer(nil)
	check(err)
	describe(peer, offer)
	check(peer.SetRemoteDescription(read(input)))
	select {
	case <-opened:
	case <-time.After(patience):
		fail("not connected in time")
	}
	start := time.Now()
	over := time.After(limit)
	message := make([]byte, messageSize)
	for sent := int64(0); sent < total; {
		for channel.BufferedAmount()+messageSize > highWater {
			select {
			case <-room:
			case <-over:
				result(&received, start)
				return
			}
		}
		size := total - sent
		if size > messageSize {
			size = messageSize
		}
		check(channel.Send(message[:size]))
		sent += size
	}
	select {
	case <-finished:
	case <-over:
	}
	result(&received, start)
}

func result(received *int64, start time.Time) {
	tell(map[string]any{
		"bytes": atomic.LoadInt64(received), "seconds": time.Since(start).Seconds(),
	})
}

func receive(peer *webrtc.PeerConnection, input *bufio.Reader, total int64) {
	var received, told int64
	peer.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnMessage(func(message webrtc.DataChannelMessage) {
			now := atomic.AddInt64(&received, int64(len(message.Data)))
			if now == total || now-told >= megabyte {
				told = now
				check(channel.SendText(fmt.Sprint(now)))
			}
		})
	})
	check(peer.SetRemoteDescription(read(input)))
	answer, err := peer.CreateAnswer(nil)
	check(err)
	describe(peer, answer)
	go func() {
		for range time.NewTicker(tellEach).C {
			tell(map[string]any{"arrived": atomic.LoadInt64(&received)})
		}
	}()
	_, _ = input.ReadString(0)
}

// describe prints our description with all candidates.
func describe(peer *webrtc.PeerConnection, description webrtc.SessionDescription) {
	gathered := webrtc.GatheringCompletePromise(peer)
	check(peer.SetLocalDescription(description))
	<-gathered
	local := peer.LocalDescription()
	tell(map[string]any{"type": local.Type.String(), "sdp": local.SDP})
}

func read(input *bufio.Reader) (description webrtc.SessionDescription) {
	line, err := input.ReadBytes('\n')
	check(err)
	check(json.Unmarshal(line, &description))
	return description
}

func tell(fields map[string]any) {
	line, err := json.Marshal(fields)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

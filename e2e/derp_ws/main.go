// e2e/derp_ws: two clients of a relay by the DERP client library of the stock client, over WebSocket; then a bare WebSocket
// client that pings, cuts messages into frames and closes.
//
//	derp_ws URL   (http://host:port/derp or https://..., SSL_CERT_FILE for the latter)
//
// Built with the tag ts_debug_websockets, without which the library does not dial WebSockets.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
	"tailscale.com/derp"
	"tailscale.com/derp/derphttp"
	"tailscale.com/envknob"
	"tailscale.com/net/netmon"
	"tailscale.com/types/key"
)

func check(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

type client struct {
	c   *derphttp.Client
	pub key.NodePublic
	got chan derp.ReceivedPacket
}

func dial(ctx context.Context, url string) *client {
	k := key.NewNode()
	c, err := derphttp.NewClient(k, url, func(string, ...any) {}, netmon.NewStatic())
	check(err, "client")
	check(c.Connect(ctx), "connect by WebSocket")
	cl := &client{c, k.Public(), make(chan derp.ReceivedPacket, 64)}
	go func() {
		for {
			m, err := c.Recv()
			if err != nil {
				return
			}
			if p, ok := m.(derp.ReceivedPacket); ok {
				p.Data = bytes.Clone(p.Data)
				cl.got <- p
			}
		}
	}()
	return cl
}

func pass(from, to *client, data []byte) {
	check(from.c.Send(to.pub, data), "send")
	select {
	case p := <-to.got:
		if p.Source != from.pub || !bytes.Equal(p.Data, data) {
			log.Fatalf("%d bytes arrived damaged (%d)", len(data), len(p.Data))
		}
	case <-time.After(10 * time.Second):
		log.Fatalf("%d bytes did not arrive", len(data))
	}
}

// bare speaks WebSocket without DERP: what the library above does not do.
func bare(ctx context.Context, url string) {
	url = strings.Replace(url, "http", "ws", 1)
	if _, _, err := websocket.Dial(ctx, url, nil); err == nil {
		log.Fatal("a client without the subprotocol was let in")
	}
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"derp"}})
	check(err, "dial")
	nc := websocket.NetConn(ctx, c, websocket.MessageBinary)
	head := make([]byte, 5+8+32) // frame ServerKey
	_, err = io.ReadFull(nc, head)
	check(err, "ServerKey")
	if head[0] != 1 || binary.BigEndian.Uint32(head[1:]) != 40 {
		log.Fatalf("first frame is % x", head[:5])
	}
	c.CloseNow()

	c, _, err = websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"derp"}})
	check(err, "dial")
	done := make(chan error, 1)
	go func() { // Ping needs a reader
		for {
			if _, _, err := c.Read(ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 3 {
		check(c.Ping(ctx), "ping")
	}
	check(c.Close(websocket.StatusNormalClosure, "bye"), "orderly close")
	if err := <-done; websocket.CloseStatus(err) != websocket.StatusNormalClosure && !strings.Contains(err.Error(), "closed") {
		log.Fatalf("close was answered by %v", err)
	}

	c, _, err = websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"derp"}})
	check(err, "dial")
	check(c.Write(ctx, websocket.MessageText, []byte("text")), "write text")
	for {
		if _, _, err = c.Read(ctx); err != nil {
			break
		}
	}
	if s := websocket.CloseStatus(err); s != websocket.StatusUnsupportedData {
		log.Fatalf("text was answered by %v", err)
	}
}

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	url := os.Args[1]
	envknob.Setenv("TS_DEBUG_DERP_WS_CLIENT", "true")
	a, b := dial(ctx, url), dial(ctx, url)
	plain := dialPlain(ctx, url)
	for _, n := range []int{1, 125, 126, 1280, 32700, 65535 - 32, 64 << 10} {
		data := make([]byte, n)
		rand.Read(data)
		pass(a, b, data)
		pass(b, plain, data)
		pass(plain, a, data)
	}
	for i := range 2000 {
		data := make([]byte, 1280)
		binary.BigEndian.PutUint32(data, uint32(i))
		pass(a, b, data)
	}
	bare(ctx, url)
	fmt.Println("ok")
}

// dialPlain is the same library without WebSocket: the switch is looked at when it connects.
func dialPlain(ctx context.Context, url string) *client {
	envknob.Setenv("TS_DEBUG_DERP_WS_CLIENT", "false")
	return dial(ctx, url)
}

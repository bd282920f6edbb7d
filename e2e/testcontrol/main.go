// testcontrol serves tailscale.com/tstest/integration/testcontrol with switches for what Headscale never does: jailed and shared
// peers, masquerade addresses, requests to a node, expiry of every key, approval of machines, SSH policies.
//
//	testcontrol -listen 10.77.0.1:9000 -admin 127.0.0.1:9001 -derp map.json [-approval]
//
// The admin port takes plain requests; nodes are named by their host name:
//
//	/nodes                                       JSON list
//	/jail?node=a&peer=b&on=true                  b is jailed for a
//	/masquerade?node=a&peer=b&as=100.99.0.1      b knows a by that address; as= empty: no more
//	/share?node=b&by=7                           b is another user's node, shared in by user 7
//	/ping?node=a[&types=TSMP,disco&ip=..][&noise=1]   PingRequest; waits for what comes back: "METHOD body"
//	/c2n?node=a&method=GET&path=/x  (body)       waits for the answer of the node: "STATUS body"
//	/expire?on=true                              every node key is expired, or none
//	/approve?node=a                              the machine is authorized
//	/ssh                                         every node gets an SSH policy that lets everybody in
//	/raw?node=a  (MapResponse)                   sent as it is; from then on the node gets nothing else
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
)

const answerTime = 15 * time.Second

type lab struct {
	s    *testcontrol.Server
	base string

	mu     sync.Mutex
	number int
	pings  map[string]chan string // by path
	masq   []testcontrol.MasqueradePair
}

// logf sees the one sign that a HEAD arrived inside Noise, where no handler of ours can be.
func (l *lab) logf(format string, a ...any) {
	line := fmt.Sprintf(format, a...)
	log.Print(line)
	if strings.Contains(line, "POST required") {
		l.arrived("/c2n/head", "HEAD ")
	}
}

func (l *lab) arrived(path, what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.pings[path]
	if c == nil {
		return false
	}
	select {
	case c <- what:
	default:
	}
	return true
}

func (l *lab) node(r *http.Request, name string) (*tailcfg.Node, error) {
	want := r.URL.Query().Get(name)
	for _, n := range l.s.AllNodes() {
		if n.Hostinfo.Hostname() == want {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no node %q", want)
}

func (l *lab) pair(r *http.Request) (a, b *tailcfg.Node, err error) {
	if a, err = l.node(r, "node"); err == nil {
		b, err = l.node(r, "peer")
	}
	return
}

func (l *lab) nodes(w http.ResponseWriter, r *http.Request) error {
	return json.NewEncoder(w).Encode(l.s.AllNodes())
}

func (l *lab) jail(w http.ResponseWriter, r *http.Request) error {
	a, b, err := l.pair(r)
	if err == nil {
		l.s.SetJailed(a.Key, b.Key, r.URL.Query().Get("on") == "true")
	}
	return err
}

func (l *lab) masquerade(w http.ResponseWriter, r *http.Request) error {
	a, b, err := l.pair(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.URL.Query().Get("as") == "" {
		l.masq = nil
	} else {
		as, err := netip.ParseAddr(r.URL.Query().Get("as"))
		if err != nil {
			return err
		}
		l.masq = append(l.masq, testcontrol.MasqueradePair{Node: a.Key, Peer: b.Key, NodeMasqueradesAs: as})
	}
	l.s.SetMasqueradeAddresses(l.masq)
	return nil
}

func (l *lab) share(w http.ResponseWriter, r *http.Request) error {
	n, err := l.node(r, "node")
	if err != nil {
		return err
	}
	by, err := strconv.ParseInt(r.URL.Query().Get("by"), 10, 64)
	if err != nil {
		return err
	}
	n.Sharer = tailcfg.UserID(by)
	l.s.UpdateNode(n)
	return nil
}

func (l *lab) ping(w http.ResponseWriter, r *http.Request) error {
	n, err := l.node(r, "node")
	if err != nil {
		return err
	}
	pr := &tailcfg.PingRequest{Types: r.URL.Query().Get("types"), URLIsNoise: r.URL.Query().Get("noise") != ""}
	if ip := r.URL.Query().Get("ip"); ip != "" {
		if pr.IP, err = netip.ParseAddr(ip); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.number++
	path := fmt.Sprintf("/pong/%d", l.number)
	if pr.URLIsNoise {
		path = "/c2n/head"
		pr.URL = fmt.Sprintf("https://unused/c2n/head?%d", l.number)
	} else {
		pr.URL = l.base + path
	}
	c := make(chan string, 16)
	l.pings[path] = c
	l.mu.Unlock()
	if !l.s.AddPingRequest(n.Key, pr) {
		return fmt.Errorf("%s is not connected", r.URL.Query().Get("node"))
	}
	for range max(1, len(strings.Split(pr.Types, ","))) {
		select {
		case got := <-c:
			fmt.Fprintln(w, got)
		case <-time.After(answerTime):
			return fmt.Errorf("no answer")
		}
	}
	return nil
}

func (l *lab) c2n(w http.ResponseWriter, r *http.Request) error {
	n, err := l.node(r, "node")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.URL.Query().Get("method"), "http://node"+r.URL.Query().Get("path"), r.Body)
	if err != nil {
		return err
	}
	res, err := l.s.NodeRoundTripper(n.Key).RoundTrip(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	fmt.Fprintf(w, "%d %s", res.StatusCode, body)
	return err
}

func (l *lab) expire(w http.ResponseWriter, r *http.Request) error {
	l.s.SetExpireAllNodes(r.URL.Query().Get("on") == "true")
	return nil
}

func (l *lab) approve(w http.ResponseWriter, r *http.Request) error {
	n, err := l.node(r, "node")
	if err == nil {
		n.MachineAuthorized = true
		l.s.UpdateNode(n)
	}
	return err
}

func (l *lab) ssh(w http.ResponseWriter, r *http.Request) error {
	l.s.SetSSHPolicy(&tailcfg.SSHPolicy{Rules: []*tailcfg.SSHRule{{
		Principals: []*tailcfg.SSHPrincipal{{Any: true}},
		SSHUsers:   map[string]string{"*": "="},
		Action:     &tailcfg.SSHAction{Accept: true, AllowAgentForwarding: true, HoldAndDelegate: "https://unused/machine/ssh"},
	}}})
	return nil
}

func (l *lab) raw(w http.ResponseWriter, r *http.Request) error {
	n, err := l.node(r, "node")
	if err != nil {
		return err
	}
	var mr tailcfg.MapResponse
	if err := json.NewDecoder(r.Body).Decode(&mr); err != nil {
		return err
	}
	if !l.s.AddRawMapResponse(n.Key, &mr) {
		return fmt.Errorf("%s is not connected", r.URL.Query().Get("node"))
	}
	return nil
}

func (l *lab) admin() http.Handler {
	mux := http.NewServeMux()
	for path, fn := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/nodes": l.nodes, "/jail": l.jail, "/masquerade": l.masquerade, "/share": l.share, "/ping": l.ping, "/c2n": l.c2n,
		"/expire": l.expire, "/approve": l.approve, "/ssh": l.ssh, "/raw": l.raw,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return mux
}

// ServeHTTP is what nodes see: pongs are ours, the rest is the server's.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/pong/") {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if !l.arrived(r.URL.Path, r.Method+" "+string(body)) {
			http.Error(w, "nobody asked", http.StatusNotFound)
		}
		return
	}
	l.s.ServeHTTP(w, r)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "where nodes come")
	admin := flag.String("admin", "127.0.0.1:9001", "where the test comes")
	derp := flag.String("derp", "", "file with a DERPMap as JSON")
	approval := flag.Bool("approval", false, "machines need approval")
	authKey := flag.String("auth-key", "", "the one key that registers; empty: any")
	flag.Parse()
	text, err := os.ReadFile(*derp)
	if err != nil {
		log.Fatal(err)
	}
	var m tailcfg.DERPMap
	if err := json.Unmarshal(text, &m); err != nil {
		log.Fatal(err)
	}
	l := &lab{base: "http://" + *listen, pings: map[string]chan string{}}
	l.s = &testcontrol.Server{
		DERPMap:                 &m,
		ExplicitBaseURL:         l.base,
		RequireMachineAuth:      *approval,
		RequireAuthKey:          *authKey,
		MagicDNSDomain:          "tail.test",
		DNSConfig:               &tailcfg.DNSConfig{Proxied: true, Domains: []string{"tail.test"}},
		DefaultNodeCapabilities: &tailcfg.NodeCapMap{},
		Logf:                    l.logf,
	}
	go func() { log.Fatal(http.ListenAndServe(*admin, l.admin())) }()
	log.Fatal(http.ListenAndServe(*listen, l))
}

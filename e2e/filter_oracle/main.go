// filter_oracle says what the Go filter package makes of packets. Standard input: rounds of
// u32 LE length, JSON {"rules":[FilterRule],"local":["prefix"]}, u32 LE count, then packets of u8 direction (0 in, 1 out),
// u16 LE length, bytes. Standard output: one byte a packet, 'A' accepted or 'D' dropped.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"net/netip"
	"os"

	"go4.org/netipx"
	"tailscale.com/net/packet"
	"tailscale.com/tailcfg"
	"tailscale.com/wgengine/filter"
)

type policy struct {
	Rules []tailcfg.FilterRule `json:"rules"`
	Local []netip.Prefix       `json:"local"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	for {
		var n uint32
		if err := binary.Read(in, binary.LittleEndian, &n); err == io.EOF {
			return
		} else {
			must(err)
		}
		text := make([]byte, n)
		_, err := io.ReadFull(in, text)
		must(err)
		var p policy
		must(json.Unmarshal(text, &p))
		matches, _ := filter.MatchesFromFilterRules(p.Rules) // what does not parse is left out, as ours does
		var b netipx.IPSetBuilder
		for _, pfx := range p.Local {
			b.AddPrefix(pfx)
		}
		local, err := b.IPSet()
		must(err)
		f := filter.New(matches, nil, local, &netipx.IPSet{}, nil, func(string, ...any) {})
		must(binary.Read(in, binary.LittleEndian, &n))
		var q packet.Parsed
		for range n {
			var head [3]byte
			_, err := io.ReadFull(in, head[:])
			must(err)
			pkt := make([]byte, binary.LittleEndian.Uint16(head[1:]))
			_, err = io.ReadFull(in, pkt)
			must(err)
			q.Decode(pkt)
			var r filter.Response
			if head[0] == 0 {
				r = f.RunIn(&q, 0)
			} else {
				r, _ = f.RunOut(&q, 0)
			}
			verdict := byte('D')
			if r == filter.Accept {
				verdict = 'A'
			}
			must(out.WriteByte(verdict))
		}
		must(out.Flush())
	}
}

#!/bin/bash
# Names through the SOCKS5 proxy as control says: MagicDNS, split routes to a resolver on port 53 and over HTTPS, in the network
# beside and inside the tailnet, a public service over HTTPS as the default; a change in control acts without a restart.
. "$(dirname "$0")/lib.sh"
headscale --fast
host a; host b; host d
key=$(authkey --reusable)
web d 8000 ::
containerboot b "$key"
ready b
ip_b=$(addr b)

# d: a resolver of the network beside, which is also what dns.nextdns.io leads to; b: one inside the tailnet
in_ns d ip addr add 45.90.28.0/32 dev eth0
in_ns a ip route add 45.90.28.0/32 dev eth0
certificate "$T/d.tls" "IP:$IP_d,DNS:dns.nextdns.io"
certificate "$T/b.tls" "IP:$ip_b"
start d d-dns env PORT=443 CERT="$T/d.tls.crt" KEY="$T/d.tls.key" python3 e2e/dns_server.py "$IP_d"
start b b-dns env PORT=443 CERT="$T/b.tls.crt" KEY="$T/b.tls.key" python3 e2e/dns_server.py "$IP_d"
dns() {
	local conf="magic_dns: true, base_domain: tail.test, override_local_dns: true, nameservers: {global: [\"$public\"], split: {$1}}"
	[ "${CONTROL:-headscale}" = headscale ] || conf="nameservers: [\"$public\"], split: {$1}"
	sed -i '/^dns:/d' "$HS_DIR/config.yaml"
	echo "dns: {$conf}" >> "$HS_DIR/config.yaml"
	stop "$HS_PID"
	headscale_start
}
public=https://dns.nextdns.io/abc123
dns "beside.test: [\"$IP_d\"], url.test: [\"https://$IP_d/dns-query\"], inside.test: [\"$ip_b\"], insideurl.test: [\"https://$ip_b/dns-query\"]"

containerboot a "$key"
ready a
page() { via a "http://$1:8000/" --max-time 30 | grep -q "hello from d"; }
until_ok 40 page www.beside.test
grep -qx "udp www.beside.test" "$T/d-dns.log" || die "the split route's resolver was not asked"
! grep -q "https.*beside.test" "$T/d-dns.log" || die "a name of a split route went to the default resolver"
say "split route, port 53"
until_ok 30 page www.url.test
grep -q "^https /dns-query www.url.test " "$T/d-dns.log" || die "the URL was not asked"
until_ok 30 page www.elsewhere.test
grep -q "^https /abc123.* www.elsewhere.test " "$T/d-dns.log" || die "the default resolver was not asked"
! grep -q "^udp www.\(url\|elsewhere\).test" "$T/d-dns.log" || die "a query went out in clear"
say "split route and default resolver over HTTPS"
until_ok 40 page www.inside.test
grep -qx "udp www.inside.test" "$T/b-dns.log" || die "the resolver inside the tailnet was not asked"
until_ok 40 page www.insideurl.test
grep -q "^https /dns-query www.insideurl.test " "$T/b-dns.log" || die "the URL inside the tailnet was not asked"
say "both inside the tailnet"
for i in 1 2 3 4 5 6; do page "n$i.url.test" || die "name $i"; done
n=$(grep "^https /dns-query n[1-6].url.test " "$T/d-dns.log" | awk '{print $4}' | sort -u | wc -l)
[ "$n" -le 2 ] || die "six names took $n connections"
rc=0; via a "http://no-such.tail.test:8000/" --max-time 30 2> /dev/null || rc=$?
[ "$rc" = 97 ] || [ "$rc" = 4 ] || [ "$rc" = 5 ] || [ "$rc" = 6 ] || die "a name of the tailnet that is not there gives curl code $rc"
! grep -q no-such.tail.test "$T/d-dns.log" || die "a name of the tailnet left it"
say "connections are kept"

# a change in control acts on a running node; what goes is not asked any more
dns "later.test: [\"https://$IP_d/later\"], url.test: [\"$IP_d\"]"
until_ok 30 eval 'page www.later.test && grep -q "^https /later www.later.test " "$T/d-dns.log"'
until_ok 30 page m.url.test
grep -qx "udp m.url.test" "$T/d-dns.log" || die "the changed route was not taken"
kill -0 "$PID_a" || die "the node did not live through it"
say "a change in control acts without a restart"

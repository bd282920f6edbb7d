/* host/egress_ports.c - a list of ports as text; see egress.h */
#include <errno.h>

#include "base/text.h"
#include "host/egress.h"

static bool ends_in(struct bytes *item, const char *tail)
{
	const size_t n = strlen(tail);

	if (item->len < n || memcmp(item->data + item->len - n, tail, n) != 0)
		return false;
	item->len -= n;
	return true;
}

static bool parse_one(struct bytes item, struct egress_port *p)
{
	const uint8_t *colon;

	p->is_udp = ends_in(&item, "/udp");
	if (!p->is_udp)
		(void)ends_in(&item, "/tcp");
	colon = item.len ? memchr(item.data, ':', item.len) : NULL;
	if (colon) {
		struct bytes to = bytes_of(colon + 1, item.len - (size_t)(colon + 1 - item.data));

		item.len = (size_t)(colon - item.data);
		if (!text_u16(to, &p->to))
			return false;
	}
	if (!text_u16(item, &p->port))
		return false;
	if (!colon)
		p->to = p->port;
	return p->port > 0 && p->to > 0;
}

static struct bytes trim(struct bytes b)
{
	while (b.len > 0 && b.data[0] == ' ')
		b = bytes_of(b.data + 1, b.len - 1);
	while (b.len > 0 && b.data[b.len - 1] == ' ')
		b.len--;
	return b;
}

int egress_ports_parse(const char *what, struct bytes text, struct egress_port *v, size_t max,
		       size_t *n, struct err *e)
{
	size_t count = 0;

	while (text.len > 0) {
		const uint8_t *comma = memchr(text.data, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.data) : text.len;
		struct egress_port p;

		if (!parse_one(trim(bytes_of(text.data, len)), &p))
			return err_say(e, EINVAL,
				       "%s: wanted ports such as 80,443/tcp,53/udp,8080:80", what);
		for (size_t i = 0; i < count; i++)
			if (v[i].port == p.port && v[i].is_udp == p.is_udp)
				return err_say(e, EINVAL, "%s: port %u is there twice", what,
					       p.port);
		if (count == max)
			return err_say(e, EINVAL, "%s: more than %zu ports", what, max);
		v[count++] = p;
		if (!comma)
			break;
		text = bytes_of(comma + 1, text.len - len - 1);
		if (text.len == 0)
			return err_say(e, EINVAL, "%s: ends in a comma", what);
	}
	*n = count;
	return 0;
}

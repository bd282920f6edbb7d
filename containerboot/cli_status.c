/* containerboot/cli_status.c - the status of the local API, as far as the CLI shows it */
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "containerboot/cli.h"

enum { TEXT_READ_MAX = 64 << 10 };

void cli_text(struct json *j, char *out, size_t cap)
{
	AUTO_FREE char *raw = json_strdup(j, TEXT_READ_MAX);
	struct bytes in;
	size_t n = 0, k;

	if (raw)
		text_show(raw);
	in = bytes_str(raw ? raw : "");
	while ((k = utf8_len(in)) > 0 && n + k < cap) {
		memcpy(out + n, in.data, k);
		n += k;
		in.data += k;
		in.len -= k;
	}
	out[n] = 0;
}

static void read_ips(struct json *j, struct cli_node *n)
{
	char text[64];
	struct ip ip;

	json_arr(j);
	while (json_elem(j)) {
		size_t len = json_str(j, text, sizeof text);

		if (json_ok(j) && ip_parse(bytes_of(text, len), &ip))
			*(ip_is_v4(&ip) ? &n->ip4 : &n->ip6) = ip;
	}
}

static void read_own_addrs(struct json *j, struct cli_status *s)
{
	char over[64];

	json_arr(j);
	while (json_elem(j))
		cli_text(j,
			 s->n_own_addrs < ARRAY_LEN(s->own_addrs) ? s->own_addrs[s->n_own_addrs++]
								  : over,
			 sizeof over);
}

static void read_node(struct json *j, struct cli_node *n, struct cli_status *own)
{
	struct bytes key;

	*n = (struct cli_node){ 0 };
	json_obj(j);
	while (json_key(j, &key)) {
		if (json_key_is(key, "ID"))
			cli_text(j, n->id, sizeof n->id);
		else if (json_key_is(key, "HostName"))
			cli_text(j, n->name, sizeof n->name);
		else if (json_key_is(key, "DNSName"))
			cli_text(j, n->dns_name, sizeof n->dns_name);
		else if (json_key_is(key, "OS"))
			cli_text(j, n->os, sizeof n->os);
		else if (json_key_is(key, "Relay"))
			cli_text(j, n->relay, sizeof n->relay);
		else if (json_key_is(key, "CurAddr"))
			cli_text(j, n->addr, sizeof n->addr);
		else if (json_key_is(key, "TailscaleIPs"))
			read_ips(j, n);
		else if (json_key_is(key, "Addrs") && own)
			read_own_addrs(j, own);
		else if (json_key_is(key, "UserID"))
			n->user = json_i64(j);
		else if (json_key_is(key, "RxBytes"))
			n->rx = json_u64(j);
		else if (json_key_is(key, "TxBytes"))
			n->tx = json_u64(j);
		else if (json_key_is(key, "Active"))
			n->active = json_bool(j);
		else if (json_key_is(key, "Online"))
			n->online = json_bool(j);
		else if (json_key_is(key, "ExitNodeOption"))
			n->exit_option = json_bool(j);
		else
			json_skip(j);
	}
	if (n->dns_name[0]) /* the name in the tailnet is what people use */
		(void)bytes_to_str(bytes_of(n->dns_name, strcspn(n->dns_name, ".")), n->name,
				   sizeof n->name);
}

static bool read_peers(struct json *j, struct cli_status *s)
{
	struct bytes key;
	size_t cap = 0;

	json_obj(j);
	while (json_key(j, &key)) {
		if (s->n_peers == cap) {
			struct cli_node *v =
			    s->n_peers < CLI_PEERS_MAX
				? reallocarray(s->peers, cap = cap ? 2 * cap : 64, sizeof *v)
				: NULL;

			if (!v)
				return false;
			s->peers = v;
		}
		read_node(j, &s->peers[s->n_peers++], NULL);
	}
	return json_ok(j);
}

static bool read_users(struct json *j, struct cli_status *s)
{
	struct bytes key, field;
	struct cli_user *v;

	json_obj(j);
	while (json_key(j, &key)) {
		v = s->n_users < CLI_PEERS_MAX ? reallocarray(s->users, s->n_users + 1, sizeof *v)
					       : NULL;
		if (!v)
			return false;
		s->users = v;
		v = &s->users[s->n_users++];
		*v = (struct cli_user){ 0 };
		json_obj(j);
		while (json_key(j, &field)) {
			if (json_key_is(field, "ID"))
				v->id = json_i64(j);
			else if (json_key_is(field, "LoginName"))
				cli_text(j, v->login, sizeof v->login);
			else
				json_skip(j);
		}
	}
	return json_ok(j);
}

static void read_health(struct json *j, struct cli_status *s)
{
	char over[256];

	json_arr(j);
	while (json_elem(j))
		cli_text(j, s->n_health < ARRAY_LEN(s->health) ? s->health[s->n_health++] : over,
			 sizeof over);
}

bool cli_status_parse(struct cli_status *s, struct bytes json)
{
	struct json j = json_of(json);
	struct bytes key;
	bool ok = true;

	*s = (struct cli_status){ 0 };
	json_obj(&j);
	while (ok && json_key(&j, &key)) {
		if (json_key_is(key, "BackendState"))
			cli_text(&j, s->state, sizeof s->state);
		else if (json_key_is(key, "AuthURL"))
			cli_text(&j, s->auth_url, sizeof s->auth_url);
		else if (json_key_is(key, "Version"))
			cli_text(&j, s->version, sizeof s->version);
		else if (json_key_is(key, "Self"))
			read_node(&j, &s->self, s);
		else if (json_key_is(key, "Peer"))
			ok = read_peers(&j, s);
		else if (json_key_is(key, "User"))
			ok = read_users(&j, s);
		else if (json_key_is(key, "Health"))
			read_health(&j, s);
		else
			json_skip(&j);
	}
	if (ok && json_done(&j))
		return true;
	cli_status_fini(s);
	return false;
}

void cli_status_fini(struct cli_status *s)
{
	free(s->peers);
	free(s->users);
	*s = (struct cli_status){ 0 };
}

const char *cli_login(const struct cli_status *s, int64_t user)
{
	for (size_t i = 0; i < s->n_users; i++)
		if (s->users[i].id == user)
			return s->users[i].login;
	return "-";
}

static bool is_called(const struct cli_node *n, const char *what)
{
	struct bytes full = bytes_str(n->dns_name), w = bytes_str(what);

	if (full.len > 0 && full.data[full.len - 1] == '.')
		full.len--;
	if (w.len > 0 && w.data[w.len - 1] == '.')
		w.len--;
	return w.len > 0 && (bytes_caseeq(w, full) || bytes_caseeq(w, bytes_str(n->name)));
}

/* Has it this name or address? */
static bool is_meant(const struct cli_node *n, const char *what)
{
	struct ip ip = { 0 };

	return ip_parse(bytes_str(what), &ip) ? ip_eq(&ip, &n->ip4) || ip_eq(&ip, &n->ip6)
					      : is_called(n, what);
}

bool cli_is_own(const struct cli_status *s, const char *what)
{
	return is_meant(&s->self, what);
}

size_t cli_peers_called(const struct cli_status *s, const char *what, const struct cli_node **peer)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_peers; i++)
		if (is_meant(&s->peers[i], what) || (*what && strcmp(s->peers[i].id, what) == 0)) {
			*peer = &s->peers[i];
			n++;
		}
	return n;
}

bool cli_find(const struct cli_status *s, const char *what, bool v6, struct ip *out)
{
	for (size_t i = 0; i <= s->n_peers; i++) {
		const struct cli_node *n = i ? &s->peers[i - 1] : &s->self;

		if (!is_meant(n, what))
			continue;
		*out = v6 || ip_is_zero(&n->ip4) ? n->ip6 : n->ip4;
		return !ip_is_zero(out);
	}
	return false;
}

/* base/json_split.c - the splitter of json.h: a big object in pieces, its members and list elements
 * one by one
 *
 * A value that lies in one piece of input is handed out in place; only one that crosses a border is
 * copied together.
 */
#include "base/json.h"

#include <stdlib.h>

enum split_state {
	AT_START,     /* before the opening brace */
	AT_FIRST_KEY, /* a key or the closing brace */
	AT_KEY,       /* a key */
	IN_KEY,       /* inside its quotes */
	AT_COLON,
	AT_VALUE,     /* first byte of a member's value */
	AT_LIST,      /* behind the opening bracket of a list */
	AT_ELEM,      /* first byte of an element */
	IN_CONTAINER, /* a value: brackets are counted */
	IN_STRING,    /* a value that is a string */
	IN_SCALAR,    /* a value that is a number or a word */
	AFTER_VALUE,  /* a comma or the closing brace */
	AFTER_ELEM,   /* a comma or the closing bracket */
	AT_END,
	AT_ERROR,
};

struct json_split {
	bool (*is_list)(struct bytes key);
	size_t max;
	struct buf part; /* the start of a value that began in an earlier piece */
	enum split_state state;
	bool in_list, skipping, escape, quoted, key_cut, spent;
	unsigned depth;
	uint64_t is_arr; /* bit d - 1: bracket at depth d is square */
	size_t key_len;
	uint8_t key[JSON_SPLIT_KEY_MAX];
};

struct json_split *json_split_new(bool (*is_list)(struct bytes key), size_t max)
{
	struct json_split *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->is_list = is_list;
	s->max = max;
	buf_init(&s->part, max);
	return s;
}

void json_split_free(struct json_split *s)
{
	if (!s)
		return;
	buf_fini(&s->part);
	free(s);
}

void json_split_reset(struct json_split *s)
{
	bool (*is_list)(struct bytes key) = s->is_list;
	size_t max = s->max;

	buf_fini(&s->part);
	*s = (struct json_split){ .is_list = is_list, .max = max };
	buf_init(&s->part, max);
}

static enum json_split_ev split_fail(struct json_split *s)
{
	s->state = AT_ERROR;
	buf_fini(&s->part);
	return JSON_SPLIT_ERROR;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void take(struct bytes *in, size_t n)
{
	in->data += n;
	in->len -= n;
}

/* Until the closing quote; false: more input is wanted, or the state is an error. */
static bool scan_key(struct json_split *s, struct bytes *in)
{
	while (in->len > 0) {
		uint8_t c = in->data[0];

		take(in, 1);
		if (c == '"' && !s->escape)
			return true;
		if (c < 0x20) {
			s->state = AT_ERROR;
			return false;
		}
		s->escape = c == '\\' && !s->escape;
		if (s->key_len < sizeof s->key)
			s->key[s->key_len++] = c;
		else
			s->key_cut = true;
	}
	return false;
}

/* Each scanner returns how many bytes of in belong to the value and sets *done when it ends there.
 */
static size_t scan_string(struct json_split *s, struct bytes in, bool *done)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (s->escape)
			s->escape = false;
		else if (c == '\\')
			s->escape = true;
		else if (c == '"') {
			*done = true;
			return i + 1;
		}
	}
	return in.len;
}

static size_t scan_scalar(struct bytes in, bool *done)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (c == ',' || c == '}' || c == ']' || is_space(c)) {
			*done = true;
			return i;
		}
	}
	return in.len;
}

static bool open_bracket(struct json_split *s, bool square)
{
	if (s->depth == JSON_DEPTH_MAX)
		return false;
	s->depth++;
	s->is_arr &= ~(UINT64_C(1) << (s->depth - 1));
	s->is_arr |= (uint64_t)square << (s->depth - 1);
	return true;
}

static bool close_bracket(struct json_split *s, bool square)
{
	if (s->depth == 0 || (bool)(s->is_arr >> (s->depth - 1) & 1) != square)
		return false;
	s->depth--;
	return true;
}

static size_t scan_container(struct json_split *s, struct bytes in, bool *done)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		bool good = true;

		if (s->quoted) {
			bool done_str = false;

			i += scan_string(s, bytes_of(in.data + i, in.len - i), &done_str) - 1;
			s->quoted = !done_str;
			continue;
		}
		if (c == '"')
			s->quoted = true;
		else if (c == '{' || c == '[')
			good = open_bracket(s, c == '[');
		else if (c == '}' || c == ']')
			good = close_bracket(s, c == ']');
		if (!good) {
			s->state = AT_ERROR;
			return i;
		}
		if (s->depth == 0) {
			*done = true;
			return i + 1;
		}
	}
	return in.len;
}

static size_t scan_value(struct json_split *s, struct bytes in, bool *done)
{
	size_t first;

	switch (s->state) {
	case IN_CONTAINER:
		return scan_container(s, in, done);
	case IN_STRING: /* its opening quote is not yet taken while `quoted` is false */
		first = !s->quoted && in.len > 0;
		s->quoted = true;
		return first + scan_string(s, bytes_of(in.data + first, in.len - first), done);
	default:
		return scan_scalar(in, done);
	}
}

/* Goes on inside a value; JSON_SPLIT_MORE when it does not end in this piece. */
static enum json_split_ev go_on(struct json_split *s, struct bytes *in, struct bytes *value)
{
	bool done = false;
	size_t n = scan_value(s, *in, &done);
	struct bytes here = bytes_of(in->data, n);

	if (s->state == AT_ERROR)
		return split_fail(s);
	take(in, n);
	if (!s->skipping && n > s->max - s->part.len) {
		s->skipping = true;
		buf_clear(&s->part);
	}
	if (!done) {
		if (!s->skipping && !buf_append(&s->part, here.data, here.len))
			return split_fail(s);
		return JSON_SPLIT_MORE;
	}
	s->state = s->in_list ? AFTER_ELEM : AFTER_VALUE;
	s->quoted = false;
	if (s->skipping)
		return JSON_SPLIT_TOO_BIG;
	*value = here;
	if (s->part.len > 0) {
		if (!buf_append(&s->part, here.data, here.len))
			return split_fail(s);
		*value = buf_bytes(&s->part);
		s->spent = true;
	}
	return s->in_list ? JSON_SPLIT_ELEM : JSON_SPLIT_MEMBER;
}

/* The state for a value that starts with c, or AT_ERROR. */
static enum split_state value_state(uint8_t c)
{
	if (c == '{' || c == '[')
		return IN_CONTAINER;
	if (c == '"')
		return IN_STRING;
	if (c == '-' || c == 't' || c == 'f' || c == 'n' || (c >= '0' && c <= '9'))
		return IN_SCALAR;
	return AT_ERROR;
}

static void begin_value(struct json_split *s, uint8_t c)
{
	s->state = value_state(c);
	s->skipping = s->key_cut;
	s->depth = 0;
}

/* One byte between values that is no white space; it is not taken when a value begins. */
static enum json_split_ev between(struct json_split *s, struct bytes *in, struct bytes *value)
{
	uint8_t c = in->data[0];
	enum split_state next = AT_ERROR;

	switch (s->state) {
	case AT_START:
		next = c == '{' ? AT_FIRST_KEY : AT_ERROR;
		break;
	case AT_FIRST_KEY:
	case AT_KEY:
		if (c == '"')
			next = IN_KEY;
		else if (c == '}' && s->state == AT_FIRST_KEY)
			next = AT_END;
		s->key_len = 0;
		s->key_cut = s->escape = false;
		break;
	case AT_COLON:
		next = c == ':' ? AT_VALUE : AT_ERROR;
		break;
	case AT_VALUE:
		s->in_list = false;
		if (c == '[' && !s->key_cut && s->is_list &&
		    s->is_list(bytes_of(s->key, s->key_len))) {
			next = AT_LIST;
			break;
		}
		begin_value(s, c);
		return JSON_SPLIT_MORE;
	case AT_LIST:
		if (c == ']') {
			take(in, 1);
			s->state = AFTER_VALUE;
			*value = bytes_str("[]");
			return JSON_SPLIT_MEMBER;
		}
		s->in_list = true;
		begin_value(s, c);
		return JSON_SPLIT_LIST;
	case AT_ELEM:
		begin_value(s, c);
		return JSON_SPLIT_MORE;
	case AFTER_VALUE:
		next = c == ',' ? AT_KEY : c == '}' ? AT_END : AT_ERROR;
		break;
	case AFTER_ELEM:
		if (c == ']') {
			take(in, 1);
			s->state = AFTER_VALUE;
			s->in_list = false;
			return JSON_SPLIT_LIST_END;
		}
		next = c == ',' ? AT_ELEM : AT_ERROR;
		break;
	default:
		break;
	}
	take(in, 1);
	s->state = next;
	return JSON_SPLIT_MORE;
}

enum json_split_ev json_split_next(struct json_split *s, struct bytes *in, struct bytes *key,
				   struct bytes *value)
{
	enum json_split_ev ev = JSON_SPLIT_MORE;

	if (s->spent) {
		buf_clear(&s->part);
		s->spent = false;
	}
	*value = bytes_of("", 0);
	while (ev == JSON_SPLIT_MORE && in->len > 0 && s->state != AT_ERROR) {
		if (s->state == IN_KEY) {
			if (scan_key(s, in))
				s->state = AT_COLON;
		} else if (s->state == IN_CONTAINER || s->state == IN_STRING ||
			   s->state == IN_SCALAR) {
			ev = go_on(s, in, value);
		} else if (is_space(in->data[0])) {
			take(in, 1);
		} else {
			ev = between(s, in, value);
		}
	}
	*key = bytes_of(s->key, s->key_len);
	if (s->state == AT_ERROR)
		return split_fail(s);
	if (ev == JSON_SPLIT_MORE && s->state == AT_END)
		return JSON_SPLIT_END;
	return ev;
}

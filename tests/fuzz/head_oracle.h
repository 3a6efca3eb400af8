/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the head parser must find, said once more and plainly: the oracle of fuzz_head. */
#ifndef SLUICE_HEAD_ORACLE_H
#define SLUICE_HEAD_ORACLE_H

#include "fuzz.h"
#include "http_swift.h"

/* Verdicts are those of enum http_result, moved up by one as none may be 0. */
#define ORACLE(result) ((result) + 1)

struct oracle_head {
	enum http_result verdict;
	size_t length;
	struct http_head found; /* results alone */

	/* On the way. */
	struct reader in;
	struct piece method, authority;
	struct piece name, value; /* of this field; the value without white space around it */
	struct http_span line;
	bool host, length_seen, coding_seen, expect, unexpected, close, keep_alive;
};

static inline bool oracle_is_target(uint8_t byte)
{
	return byte > ' ' && byte < 0x7f && byte != '#';
}

static inline bool oracle_is_unreserved(uint8_t byte)
{
	return is_alnum(byte) || is_one_of(byte, "-._~");
}

static inline bool oracle_is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static inline bool oracle_is_ipv6(uint8_t byte)
{
	return is_one_of(byte, "0123456789abcdefABCDEF:.");
}

/* A name or "[" address "]", then maybe ":" and digits. */
static inline bool oracle_is_host(struct piece host)
{
	size_t end = 0;
	struct piece port;

	if (host.length && host.text[0] == '[') {
		const char *close = memchr(host.text, ']', host.length);

		end = close ? close - host.text : 0;
		if (end < 2 ||
		    !piece_is_all((struct piece){ host.text + 1, end - 1 }, oracle_is_ipv6))
			return false;
		end++;
	} else {
		while (end < host.length && oracle_is_unreserved(host.text[end]))
			end++;
	}
	if (!end || end == host.length)
		return end;
	port = (struct piece){ host.text + end + 1, host.length - end - 1 };
	return host.text[end] == ':' && piece_is_all(port, oracle_is_digit);
}

static inline bool oracle_is_authority(uint8_t byte)
{
	return !is_one_of(byte, "/? \r");
}

static inline void oracle_target(struct oracle_head *head)
{
	struct reader *in = &head->in;
	uint8_t first = reader_peek(in);
	struct piece scheme;

	if (first == '*') {
		in->at++;
		return;
	}
	if (first != '/') {
		scheme = reader_while(in, is_alnum);
		reader_need(in, piece_is(scheme, "http") || piece_is(scheme, "https"));
		reader_expect(in, "://");
		head->authority = reader_while(in, oracle_is_authority);
		reader_need(in, oracle_is_host(head->authority) &&
					head->authority.length <= HTTP_AUTHORITY_MAX);
		if (!is_one_of(reader_peek(in), "/?"))
			return;
	}
	reader_while(in, oracle_is_target);
}

static inline void oracle_request_line(struct oracle_head *head)
{
	struct reader *in = &head->in;
	struct piece target = { NULL, 0 }, version;

	head->method = reader_while(in, is_tchar);
	reader_need(in, head->method.length && reader_take(in) == ' ');
	reader_need(in, head->method.length != 7 || memcmp(head->method.text, "CONNECT", 7));
	head->found.is_head_method =
		head->method.length == 4 && !memcmp(head->method.text, "HEAD", 4);
	target.text = (const char *)in->bytes + in->at;
	oracle_target(head);
	if (reader_peek(in) == '\r') {
		reader_expect(in, "\r\n");
		reader_stop(in, ORACLE(HTTP_VERSION));
	}
	reader_expect(in, " ");
	version = reader_until(in, '\r');
	reader_expect(in, "\r\n");
	reader_need(in, version.length == 8 && !memcmp(version.text, "HTTP/", 5) &&
				oracle_is_digit(version.text[5]) && version.text[6] == '.' &&
				oracle_is_digit(version.text[7]));
	if (version.text[5] != '1' || version.text[7] > '1')
		reader_stop(in, ORACLE(HTTP_VERSION));
	reader_need(in, target.text[0] != '*' || (head->method.length == 7 &&
						  !memcmp(head->method.text, "OPTIONS", 7)));
	head->found.minor = version.text[7] - '0';
}

static inline bool oracle_same_text(struct piece a, struct piece b)
{
	return a.length == b.length && !strncasecmp(a.text, b.text, a.length);
}

static inline void oracle_framing(struct oracle_head *head)
{
	struct reader *in = &head->in;
	bool is_length = piece_is(head->name, "content-length");

	reader_need(in, is_length || piece_is(head->name, "transfer-encoding"));
	reader_need(in, !head->length_seen && !head->coding_seen);
	if (!is_length) {
		head->coding_seen = true;
		reader_need(in, head->found.minor && piece_is(head->value, "chunked"));
		head->found.chunked = true;
		return;
	}
	head->length_seen = true;
	reader_need(in, piece_number(head->value, (uint64_t *)&head->found.content_length));
	reader_need(in, head->value.text[0] != '0' || head->value.length == 1);
}

static inline void oracle_connection(struct oracle_head *head)
{
	static const char *const barred[] = {
		"host",		 "content-length", "transfer-encoding", "connection",
		"authorization", "expect",	   "http2-settings",	"x-key-id"
	};
	struct piece rest = head->value, option;

	while (piece_next(&rest, &option)) {
		reader_need(&head->in, piece_is_all(option, is_tchar));
		for (size_t i = 0; i < sizeof(barred) / sizeof(*barred); i++)
			reader_need(&head->in, !piece_looks_like(option, barred[i]));
		head->close |= piece_is(option, "close");
		head->keep_alive |= piece_is(option, "keep-alive");
	}
}

static inline void oracle_upgrade(struct oracle_head *head)
{
	static const char *const barred[] = { "h2c", "h2", "http", "tls" };
	struct piece rest = head->value, protocol;

	head->found.upgrade = head->found.minor;
	while (piece_next(&rest, &protocol)) {
		struct piece version = protocol;

		while (version.length && version.text[0] != '/') {
			version.text++;
			version.length--;
		}
		protocol.length -= version.length;
		if (version.length) {
			reader_need(&head->in, protocol.length);
			version.text++;
			version.length--;
		}
		reader_need(&head->in, piece_is_all(protocol, is_tchar));
		reader_need(&head->in, piece_is_all(version, is_tchar));
		for (size_t i = 0; i < sizeof(barred) / sizeof(*barred); i++)
			reader_need(&head->in, !piece_is(protocol, barred[i]));
	}
}

/* Credentials of ours behind those of another scheme: the word "Bearer" and something behind it. */
static inline bool oracle_hides_bearer(struct piece rest)
{
	for (size_t i = 0; i + 7 < rest.length; i++) {
		if (strncasecmp(rest.text + i, "bearer", 6) || !is_blank(rest.text[i + 6]))
			continue;
		if (!i || is_one_of(rest.text[i - 1], " \t,"))
			return true;
	}
	return false;
}

static inline bool oracle_is_token68(struct piece token)
{
	while (token.length > 1 && token.text[token.length - 1] == '=')
		token.length--;
	for (size_t i = 0; i < token.length; i++) {
		if (!is_alnum(token.text[i]) && !is_one_of(token.text[i], "-._~+/"))
			return false;
	}
	return true;
}

static inline void oracle_authorization(struct oracle_head *head)
{
	struct http_head *found = &head->found;
	struct piece rest = head->value;
	size_t scheme = rest.length > 0, gap;

	reader_need(&head->in, !found->authorization.length);
	found->authorization = head->line;
	while (scheme < rest.length && is_tchar(rest.text[scheme]))
		scheme++;
	if (scheme == rest.length)
		return;
	if (scheme != 6 || strncasecmp(rest.text, "bearer", 6) || !is_blank(rest.text[6])) {
		rest.text += scheme + 1;
		rest.length -= scheme + 1;
		reader_need(&head->in, !oracle_hides_bearer(rest));
		return;
	}
	for (gap = scheme; is_blank(rest.text[gap]); gap++)
		;
	found->credential_kind = memchr(rest.text + scheme, '\t', gap - scheme)
					 ? CREDENTIAL_MALFORMED
					 : CREDENTIAL_BEARER;
	rest.text += gap;
	rest.length -= gap;
	for (size_t i = 0; i < rest.length; i++)
		reader_need(&head->in, !is_one_of(rest.text[i], " \t,"));
	if (!oracle_is_token68(rest) || rest.length > HTTP_CREDENTIAL_MAX)
		found->credential_kind = CREDENTIAL_MALFORMED;
	if (found->credential_kind != CREDENTIAL_BEARER)
		return;
	found->credential.at = rest.text - (const char *)head->in.bytes;
	found->credential.length = rest.length;
}

static inline void oracle_expect(struct oracle_head *head)
{
	head->unexpected |= head->expect || !piece_is(head->value, "100-continue");
	head->expect = true;
}

static inline void oracle_host(struct oracle_head *head)
{
	reader_need(&head->in, !head->host && oracle_is_host(head->value));
	reader_need(&head->in,
		    !head->authority.text || oracle_same_text(head->value, head->authority));
	head->host = true;
}

static inline bool oracle_is_ascii(uint8_t byte)
{
	return byte < 0x80;
}

/* A field that concerns the gate, by whatever name looks like it. */
static inline void oracle_field(struct oracle_head *head)
{
	static const struct {
		const char *name;
		void (*read)(struct oracle_head *head);
	} fields[] = {
		{ "host", oracle_host },
		{ "content-length", oracle_framing },
		{ "transfer-encoding", oracle_framing },
		{ "connection", oracle_connection },
		{ "authorization", oracle_authorization },
		{ "expect", oracle_expect },
		{ "upgrade", oracle_upgrade },
	};
	struct http_head *found = &head->found;

	reader_need(&head->in, piece_is_all(head->value, is_value_byte));
	reader_need(&head->in, !piece_looks_like(head->name, "http2-settings"));
	if (piece_looks_like(head->name, "x-key-id")) {
		reader_need(&head->in, found->foreign_identities < HTTP_FOREIGN_MAX);
		found->foreign_identity[found->foreign_identities++] = head->line;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (!piece_looks_like(head->name, fields[i].name))
			continue;
		reader_need(&head->in, piece_is_all(head->value, oracle_is_ascii));
		fields[i].read(head);
	}
}

static inline void oracle_fields(struct oracle_head *head)
{
	struct reader *in = &head->in;

	for (int fields = 0; reader_peek(in) != '\r'; fields++) {
		struct piece raw;

		reader_need(in, is_tchar(reader_peek(in)));
		if (fields == HTTP_FIELDS_MAX)
			reader_stop(in, ORACLE(HTTP_TOO_LARGE));
		head->line.at = in->at;
		head->name = reader_while(in, is_tchar);
		reader_expect(in, ":");
		raw = reader_until(in, '\r');
		reader_need(in, !memchr(raw.text, '\n', raw.length));
		head->value = piece_trim(raw);
		head->line.length = in->at - head->line.at;
		oracle_field(head);
		reader_expect(in, "\r\n");
	}
	reader_expect(in, "\r\n");
}

static inline void oracle_whole(struct oracle_head *head)
{
	struct reader *in = &head->in;

	if (reader_peek(in) == '\r') {
		in->limit += 2;
		reader_expect(in, "\r\n");
	}
	oracle_request_line(head);
	oracle_fields(head);
	reader_need(in, head->host || !head->found.minor);
	head->found.persistent = !head->close && (head->found.minor || head->keep_alive);
	if (head->unexpected)
		reader_stop(in, ORACLE(HTTP_EXPECTATION));
	reader_stop(in, ORACLE(HTTP_DONE));
}

/* ret_head's length counts to where reading stopped, which may be behind where a parser would. */
static inline void oracle_read_head(const uint8_t *bytes, size_t size, size_t limit,
				    struct oracle_head *ret_head)
{
	int stopped;

	memset(ret_head, 0, sizeof(*ret_head));
	ret_head->in = (struct reader){ .bytes = bytes,
					.size = size,
					.limit = limit,
					.at_end = ORACLE(HTTP_MORE),
					.at_limit = ORACLE(HTTP_TOO_LARGE),
					.bad = ORACLE(HTTP_BAD) };
	stopped = setjmp(ret_head->in.out);
	if (!stopped)
		oracle_whole(ret_head);
	ret_head->verdict = stopped - 1;
	ret_head->length = ret_head->in.at;
}

#endif

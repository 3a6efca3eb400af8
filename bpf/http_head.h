/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A request's head as the parser sees it: what it is told, what it found, where it stands.
 */
#ifndef SLUICE_HTTP_HEAD_H
#define SLUICE_HTTP_HEAD_H

#include "text.h"

#define HTTP_FIELDS_MAX	    100
#define HTTP_CREDENTIAL_MAX 512 /* bytes; a longer token is malformed */
#define HTTP_AUTHORITY_MAX  128 /* bytes of the authority in an absolute-form target; a power of 2 */
#define HTTP_FOREIGN_MAX    4

/* What the parser says after a byte. All but HTTP_MORE are final. */
enum http_result {
	HTTP_MORE,	  /* the head goes on */
	HTTP_DONE,	  /* this was the last LF of a good head */
	HTTP_BAD,	  /* 400: not well-formed, or ambiguous */
	HTTP_TOO_LARGE,	  /* 431: over its limit, or too many fields */
	HTTP_VERSION,	  /* 505: neither HTTP/1.0 nor HTTP/1.1 */
	HTTP_EXPECTATION, /* 417: the head is good, but for an Expect other than 100-continue */
};

/* What the Authorization field holds. */
enum http_credential {
	CREDENTIAL_NONE,      /* no field, an empty one, another scheme, or "Bearer" alone */
	CREDENTIAL_BEARER,    /* "Bearer" and a token68 of up to HTTP_CREDENTIAL_MAX bytes */
	CREDENTIAL_MALFORMED, /* "Bearer" and something else */
};

/* Bytes of the head; `at` counts from the first byte that the parser was given. */
struct http_span {
	__u32 at;
	__u32 length;
};

/*
 * Results hold once the parser returned HTTP_DONE or HTTP_EXPECTATION; is_head_method and
 * minor already where it returned something else after the request line.
 */
struct http_head {
	/* Results */
	__u64 content_length; /* bytes of body announced by Content-Length; 0 where there is none */
	__u32 length;	      /* bytes consumed, an empty line before the request line among them */
	struct http_span
		authorization;	     /* the Authorization line without its CRLF; length 0: none */
	struct http_span credential; /* the token; length 0 unless CREDENTIAL_BEARER */
	struct http_span foreign_identity[HTTP_FOREIGN_MAX]; /* lines X-Key-Id, without CRLF */
	__u8 foreign_identities;			     /* how many of them there are */
	__u8 credential_kind;				     /* enum http_credential */
	__u8 minor;					     /* HTTP/1.minor: 0 or 1 */
	__u8 is_head_method;				     /* an answer has no body */
	__u8 chunked;	 /* the body is in chunks, content_length says nothing */
	__u8 persistent; /* the client wants the connection to go on */
	__u8 reserved;
	__u8 upgrade; /* there is an Upgrade field */

	/* Where the parser stands */
	__u8 state;	 /* enum http_state */
	__u8 plain;	 /* class of the bytes that change nothing in this state */
	__u8 field;	 /* enum http_field */
	__u8 phase;	 /* where in a field's value */
	__u8 fields;	 /* how many so far */
	__u8 unlike;	 /* the word held another character where '-' was taken */
	__u8 host_index; /* bytes of Host that were compared with authority */
	__u8 authority_length;
	__u16 notes;   /* HTTP_NOTE_*, what was seen so far */
	__u32 limit;   /* bytes of a head that is not too large */
	__u32 line_at; /* first byte of this line */
	__u32 reserved2;
	struct text_word word;		    /* the name, method or list element being read */
	__u8 authority[HTTP_AUTHORITY_MAX]; /* of an absolute-form target, in lower case */
};

_Static_assert(sizeof(struct http_head) <= 256, "a head is part of every connection's record");

enum http_state {
	/* Request line */
	HTTP_AT_START,
	HTTP_AT_EMPTY_LINE, /* behind the CR of the one empty line that may come first */
	HTTP_AT_METHOD,	    /* its first byte */
	HTTP_IN_METHOD,
	HTTP_AT_TARGET, /* its first byte */
	HTTP_IN_TARGET,
	HTTP_IN_ASTERISK,
	HTTP_IN_SCHEME,
	HTTP_IN_SLASHES,
	HTTP_IN_AUTHORITY,
	HTTP_IN_VERSION,
	HTTP_AT_REQUEST_END, /* behind its CR */
	HTTP_AT_SIMPLE_END,  /* behind the CR of a request line without a version: HTTP/0.9 */
	/* Fields */
	HTTP_AT_LINE, /* its first byte */
	HTTP_IN_NAME,
	HTTP_IN_VALUE,	 /* of a field that does not concern the gate */
	HTTP_IN_SPECIAL, /* of a field that does */
	HTTP_AT_LINE_END,
	HTTP_AT_HEAD_END,
	HTTP_OVER, /* a final result was given */
};

/* Fields that concern the gate. */
enum http_field {
	HTTP_FIELD_OTHER,
	HTTP_FIELD_HOST,
	HTTP_FIELD_LENGTH,
	HTTP_FIELD_CODING,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_AUTHORIZATION,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_UPGRADE,
	HTTP_FIELD_HTTP2,
	HTTP_FIELD_IDENTITY,
};

#define HTTP_NOTE_HOST		0x001 /* these fields were seen */
#define HTTP_NOTE_LENGTH	0x002
#define HTTP_NOTE_CODING	0x004
#define HTTP_NOTE_AUTHORIZATION 0x008
#define HTTP_NOTE_EXPECT	0x010
#define HTTP_NOTE_UNEXPECTED	0x020 /* an Expect that cannot be met */
#define HTTP_NOTE_CLOSE		0x040 /* options of Connection */
#define HTTP_NOTE_KEEP_ALIVE	0x080
#define HTTP_NOTE_OPTIONS	0x100 /* the method is OPTIONS */
#define HTTP_NOTE_ASTERISK	0x200 /* the target is "*" */
#define HTTP_NOTE_ABSOLUTE	0x400 /* the target names an authority */

core_inline void http_enter(struct http_head *head, enum http_state state)
{
	head->state = state;
	head->plain = state == HTTP_IN_VALUE	? TEXT_VALUE
		      : state == HTTP_IN_TARGET ? TEXT_TARGET
						: 0;
}

/* Take a byte of a name in the form that look-alikes share. */
core_inline void http_take_name_byte(struct http_head *head, __u8 byte)
{
	__u8 shared = text_name_byte(byte);

	head->unlike |= shared == '-' && byte != '-';
	text_word_add(&head->word, shared);
}

core_inline void http_clear_name(struct http_head *head)
{
	head->unlike = false;
	text_word_clear(&head->word);
}

/* Which of the fields that concern the gate the word names, look-alikes included. */
core_inline enum http_field http_named_field(const struct text_word *word)
{
	if (text_word_is(word, "host"))
		return HTTP_FIELD_HOST;
	if (text_word_is2(word, "conten", "t-length"))
		return HTTP_FIELD_LENGTH;
	if (text_word_is3(word, "t", "ransfer-", "encoding"))
		return HTTP_FIELD_CODING;
	if (text_word_is2(word, "co", "nnection"))
		return HTTP_FIELD_CONNECTION;
	if (text_word_is2(word, "autho", "rization"))
		return HTTP_FIELD_AUTHORIZATION;
	if (text_word_is(word, "expect"))
		return HTTP_FIELD_EXPECT;
	if (text_word_is(word, "upgrade"))
		return HTTP_FIELD_UPGRADE;
	if (text_word_is2(word, "http2-", "settings"))
		return HTTP_FIELD_HTTP2;
	if (text_word_is(word, "x-key-id"))
		return HTTP_FIELD_IDENTITY;
	return HTTP_FIELD_OTHER;
}

#endif

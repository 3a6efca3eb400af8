/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of cases: what a client sends, and what must come of it. Its rows are in cases_*.h, one
 * file for each section of the contract's cases; what is too long to write down is in cases_long.c.
 */
#ifndef SLUICE_TESTS_NET_CASES_H
#define SLUICE_TESTS_NET_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Keys in the bytes of a row; each is replaced by a real one of the same length.
 * GOOD_KEY has requests left, USED_KEY has none, OTHER_KEY has the right shape and was never issued.
 */
#define GOOD_KEY  "gx_good456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
#define USED_KEY  "gx_used456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
#define OTHER_KEY "gx_other56789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"

/* In the bytes of a row: nothing more is sent before so many answers are there, 1xx among them. */
#define WAIT(answers) "<wait " #answers ">"

#define THEN "\x1e"

#define HOST	"Host: api.test\r\n"
#define BEARER	"Authorization: Bearer "
#define GOOD	BEARER GOOD_KEY "\r\n"
#define USED	BEARER USED_KEY "\r\n"
#define OTHER	BEARER OTHER_KEY "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

/* Heads: of any request, and of good ones. */
#define HEAD(line, fields)     line " HTTP/1.1\r\n" HOST fields "\r\n"
#define GET(target)	       HEAD("GET " target, GOOD)
#define POST(target, fields)   HEAD("POST " target, GOOD fields)
#define LENGTH(length)	       "Content-Length: " #length "\r\n"
#define HTTP10(target, fields) "GET " target " HTTP/1.0\r\n" GOOD fields "\r\n"

/* What must never be executed where it stands in a body. */
#define SMUGGLED	GET("/smuggled")
#define SMUGGLED_LENGTH LENGTH(118)

_Static_assert(sizeof(SMUGGLED) - 1 == 118, "SMUGGLED_LENGTH is its length");

enum after {
	STAYS, /* the connection is good for one more request */
	ENDS,  /* it ends with a clean end-of-file */
	/*
	 * Likewise, as the client asked for. It sends on all the same, which RFC 9112 9.6 forbids: what
	 * comes when the application has closed is answered with a reset, behind the whole answer.
	 */
	CLOSES,
	/*
	 * Likewise, as the application does by itself, whatever the client sends on. A request may be
	 * counted that it never reads.
	 */
	LEAVES,
	HALF, /* the client half-closes it behind the bytes, and it ends with a clean end-of-file */
	/*
	 * A body turns bad: the connection ends with a clean end-of-file, and before that the request
	 * may be refused (400, or 401 where it has no good key). Where it has one, it may be counted
	 * and reach the application, which never gets the end of its body.
	 */
	BREAKS,
};

/* Whether the gate or the application ends the connection. */
static inline bool ends(enum after after)
{
	return after == ENDS || after == CLOSES || after == LEAVES || after == BREAKS;
}

/* How often a row is cut. */
enum share {
	FULL,	   /* at every offset in every mode */
	ONCE_FULL, /* at every offset in one mode, at some in the others */
	SOME,	   /* at some offsets */
};

struct row {
	const char *name;
	const char *bytes;
	size_t size;
	/*
	 * Statuses of the answers in order, separated by spaces. '-' behind one: it has no body,
	 * whatever its head says.
	 */
	const char *answers;
	/* What the application must have executed: "METHOD target", " body" if any; THEN between. */
	const char *executed;
	enum after after;
	unsigned int unfinished; /* requests that are counted, and whose body never comes */
	const char *opaque;	 /* bytes that the client gets behind a 101 */
	enum share share;
	size_t cut_from, cut_to; /* offsets between which it is cut; cut_to 0: all */
};

#define TEXT(text) text, sizeof(text) - 1

/* A row; one whose last request is counted and never comes to its end; one that ends with opaque bytes. */
#define ROW(name, answers, executed, after, text)                                                  \
	{                                                                                          \
		name, TEXT(text), answers, executed, after, 0, NULL, FULL, 0, 0                    \
	}
#define UNFINISHED(name, answers, executed, after, text)                                           \
	{                                                                                          \
		name, TEXT(text), answers, executed, after, 1, NULL, FULL, 0, 0                    \
	}
#define SWITCHES(name, answers, executed, opaque, text)                                            \
	{                                                                                          \
		name, TEXT(text), answers, executed, HALF, 0, opaque, FULL, 0, 0                   \
	}

/* A row that is refused with this status, and closed; one that is refused; and one that passes. */
#define REFUSED(name, status, text)  ROW(name, #status, "", ENDS, text)
#define BAD(name, text)		     REFUSED(name, 400, text)
#define UNAUTHORIZED(name, text)     ROW(name, "401", "", STAYS, text)
#define PASSES(name, executed, text) ROW(name, "200", executed, STAYS, text)

#endif

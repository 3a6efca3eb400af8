/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where an application's answers have their status lines, bodies and ends, said once more and
 * plainly: the oracle of fuzz_response.
 */
#ifndef SLUICE_RESPONSE_ORACLE_H
#define SLUICE_RESPONSE_ORACLE_H

#include <ctype.h>

#include "fuzz.h"
#include "response_swift.h"

#define ORACLE_MARKS 4096

/* An event behind the byte before `at`. */
struct mark {
	enum response_event event;
	size_t at;
	uint64_t skip;
};

struct marks {
	size_t count;
	struct mark mark[ORACLE_MARKS];
};

static inline void marks_add(struct marks *marks, enum response_event event, size_t at,
			     uint64_t skip)
{
	if (marks->count < ORACLE_MARKS)
		marks->mark[marks->count++] = (struct mark){ event, at, skip };
}

struct oracle_response {
	struct reader in;
	struct marks *marks;
	bool to_head;

	/* Of this answer. */
	int minor, status;
	bool framed, measured, coded, chunked;
	uint64_t length;
};

static inline void oracle_mark(struct oracle_response *response, enum response_event event,
			       uint64_t skip)
{
	marks_add(response->marks, event, response->in.at, skip);
}

static inline bool oracle_no_lf(uint8_t byte)
{
	return byte != '\n';
}

/* The rest of a line, without its LF. */
static inline struct piece oracle_line(struct reader *in)
{
	struct piece line = reader_while(in, oracle_no_lf);

	in->at++;
	return line;
}

/* CRLF, or LF alone. */
static inline void oracle_line_end(struct reader *in)
{
	if (reader_peek(in) == '\r')
		in->at++;
	reader_expect(in, "\n");
}

static inline void oracle_status_line(struct oracle_response *response)
{
	struct reader *in = &response->in;

	reader_expect(in, "HTTP/1.");
	reader_need(in, isdigit(reader_peek(in)));
	response->minor = reader_take(in) - '0';
	reader_expect(in, " ");
	response->status = 0;
	for (int i = 0; i < 3; i++) {
		reader_need(in, isdigit(reader_peek(in)));
		response->status = response->status * 10 + reader_take(in) - '0';
	}
	reader_need(in, is_one_of(reader_peek(in), " \r\n") && response->status >= 100);
	oracle_line(in);
	if (response->status >= 200)
		oracle_mark(response, RESPONSE_STATUS, 0);
}

static inline void oracle_length(struct oracle_response *response, struct piece value)
{
	uint64_t length;

	reader_need(&response->in, piece_number(value, &length));
	reader_need(&response->in, !response->measured || response->length == length);
	response->measured = true;
	response->length = length;
}

/* Nothing may come behind chunked. */
static inline void oracle_coding(struct oracle_response *response, struct piece rest)
{
	struct piece coding;

	response->coded = true;
	while (piece_next(&rest, &coding)) {
		if (!coding.length)
			continue;
		reader_need(&response->in, !response->chunked && piece_is_all(coding, is_tchar));
		response->chunked = piece_is(coding, "chunked");
	}
}

static inline void oracle_field_line(struct oracle_response *response)
{
	struct reader *in = &response->in;
	struct piece name, value;

	if (is_blank(reader_peek(in)) && !response->framed) {
		oracle_line(in);
		return;
	}
	name = reader_while(in, is_tchar);
	reader_need(in, name.length);
	reader_expect(in, ":");
	value = oracle_line(in);
	response->framed = piece_is(name, "content-length") || piece_is(name, "transfer-encoding");
	if (!response->framed)
		return;
	if (value.length && value.text[value.length - 1] == '\r')
		value.length--;
	if (name.length == strlen("content-length"))
		oracle_length(response, piece_trim(value));
	else
		oracle_coding(response, value);
}

static inline void oracle_skip(struct oracle_response *response, uint64_t size)
{
	struct reader *in = &response->in;

	oracle_mark(response, RESPONSE_SKIP, size);
	if (size > in->size - in->at)
		reader_stop(in, in->at_end);
	in->at += size;
}

static inline void oracle_chunks(struct oracle_response *response)
{
	struct reader *in = &response->in;
	uint64_t size;

	do {
		int digits = 0;

		for (size = 0; isxdigit(reader_peek(in)); digits++) {
			char digit[2] = { reader_take(in) };

			reader_need(in, !(size >> 59));
			size = size * 16 + strtoul(digit, NULL, 16);
		}
		if (is_one_of(reader_peek(in), "; \t"))
			oracle_line(in);
		else
			oracle_line_end(in);
		reader_need(in, digits);
		if (!size)
			break;
		oracle_skip(response, size);
		oracle_line_end(in);
	} while (size);
	while (!is_one_of(reader_peek(in), "\r\n"))
		oracle_line(in);
	oracle_line_end(in);
}

/* RFC 9112 6.3. */
static inline void oracle_body(struct oracle_response *response)
{
	struct reader *in = &response->in;

	if (response->status == 101) {
		oracle_mark(response, RESPONSE_SWITCHED, 0);
		reader_stop(in, in->bad);
	}
	if (response->status < 200)
		return;
	if (response->to_head || response->status == 204 || response->status == 304)
		goto end;
	if (response->coded) {
		reader_need(in, response->minor && response->chunked && !response->measured);
		oracle_chunks(response);
	} else {
		reader_need(in, response->measured);
		if (response->length)
			oracle_skip(response, response->length);
	}
end:
	oracle_mark(response, RESPONSE_END, 0);
}

static inline void oracle_answers(struct oracle_response *response)
{
	for (;;) {
		response->framed = response->measured = response->coded = response->chunked = false;
		oracle_status_line(response);
		while (!is_one_of(reader_peek(&response->in), "\r\n"))
			oracle_field_line(response);
		oracle_line_end(&response->in);
		oracle_body(response);
	}
}

/* Events but RESPONSE_UNTIL_CLOSE. Returns whether it lasts until the connection closes. */
static inline bool oracle_read_answers(const uint8_t *bytes, size_t size, bool to_head,
				       struct marks *ret_marks)
{
	struct oracle_response response = { .in = { .bytes = bytes,
						    .size = size,
						    .limit = SIZE_MAX,
						    .at_end = 1,
						    .at_limit = 1,
						    .bad = 2 },
					    .marks = ret_marks,
					    .to_head = to_head };
	int stopped;

	ret_marks->count = 0;
	stopped = setjmp(response.in.out);
	if (!stopped)
		oracle_answers(&response);
	return stopped == 2;
}

#endif

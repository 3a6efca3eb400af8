// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate's own answers, head and body, with places for what varies. */
#include "replies.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "reply.h"
#include "util.h"

#define RANDOM_STORE 4096 /* bytes */

/* What is constant in an answer. */
struct answer {
	const char *status; /* of the status line, RFC 9112 section 4 */
	const char *code;
	const char *text;
	const char *challenge; /* WWW-Authenticate, RFC 6750 section 3, or NULL */
	bool limited;	       /* has Retry-After and the X-RateLimit headers */
};

static const struct answer answers[REPLY_COUNT] = {
	[REPLY_NO_KEY] = { "401 Unauthorized", "UNAUTHORIZED", "Invalid or expired API key.",
			   "Bearer realm=\"api\"", false },
	[REPLY_INVALID_KEY] = { "401 Unauthorized", "UNAUTHORIZED", "Invalid or expired API key.",
				"Bearer realm=\"api\", error=\"invalid_token\"", false },
	[REPLY_RATE_LIMITED] = { "429 Too Many Requests", "RATE_LIMITED",
				 "Rate limit exceeded. Please try again later.", NULL, true },
	[REPLY_BAD_REQUEST] = { "400 Bad Request", "BAD_REQUEST", "Bad request.", NULL, false },
	[REPLY_EXPECTATION] = { "417 Expectation Failed", "EXPECTATION_FAILED",
				"The Expect header is not supported.", NULL, false },
	[REPLY_HEAD_TOO_LARGE] = { "431 Request Header Fields Too Large", "HEADERS_TOO_LARGE",
				   "Request headers are too large.", NULL, false },
	[REPLY_VERSION] = { "505 HTTP Version Not Supported", "VERSION_NOT_SUPPORTED",
			    "HTTP version not supported.", NULL, false },
};

static const char *const connections[REPLY_CONNECTIONS] = {
	[REPLY_IMPLICIT] = "",
	[REPLY_KEEP_ALIVE] = "Connection: keep-alive\r\n",
	[REPLY_CLOSE] = "Connection: close\r\n",
};

/* Append to the answer. What does not fit still counts, for reply_render() to find. */
static void append(struct reply_template *template, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct reply_template *template, const char *format, ...)
{
	char text[REPLY_SIZE];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = (size_t)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (template->length + length <= REPLY_SIZE)
		memcpy(template->bytes + template->length, text, length);
	template->length += length;
}

/* Append a header whose value is written for each answer, right-aligned to width. */
static void append_number(struct reply_template *template, const char *name, int width,
			  __u16 *ret_at)
{
	append(template, "%s: ", name);
	*ret_at = template->length;
	append(template, "%*d\r\n", width, 0);
}

/* The body up to the trace id's place, and what is behind it. */
#define BODY_START "{\"error\":\"%s\",\"message\":\"%s\",\"code\":\"%s\",\"traceId\":\"req_"
#define BODY_END   "\"}"

int reply_render(enum reply reply, enum reply_connection connection,
		 struct reply_template *ret_template)
{
	struct reply_template template = { 0 };
	const struct answer *answer;
	char body[REPLY_SIZE];
	int body_start;

	if (reply >= REPLY_COUNT || connection >= REPLY_CONNECTIONS)
		return -EINVAL;
	answer = &answers[reply];
	body_start =
		snprintf(body, sizeof(body), BODY_START, answer->text, answer->text, answer->code);

	append(&template,
	       "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
	       answer->status, body_start + TRACE_ID_SIZE + strlen(BODY_END));
	if (answer->challenge)
		append(&template, "WWW-Authenticate: %s\r\n", answer->challenge);
	if (answer->limited) {
		append_number(&template, "Retry-After", REPLY_RETRY_AFTER_WIDTH,
			      &template.retry_after_at);
		append(&template, "X-RateLimit-Remaining: 0\r\n");
		append_number(&template, "X-RateLimit-Reset", REPLY_RESET_WIDTH,
			      &template.reset_at);
	}
	append(&template, "%s\r\n", connections[connection]);
	template.head_length = template.length;

	append(&template, "%s", body);
	template.trace_id_at = template.length;
	append(&template, "%0*d%s", TRACE_ID_SIZE, 0, BODY_END);
	if (template.length > REPLY_SIZE)
		return -E2BIG;
	*ret_template = template;
	return 0;
}

/* Random bytes, from a store of them: a system call for each answer would show. */
static void take_random(void *ret_bytes, size_t size)
{
	static uint8_t store[RANDOM_STORE];
	static size_t left;
	uint8_t seed[randombytes_SEEDBYTES];

	if (left < size) {
		randombytes_buf(seed, sizeof(seed));
		randombytes_buf_deterministic(store, sizeof(store), seed);
		left = sizeof(store);
	}
	left -= size;
	memcpy(ret_bytes, store + left, size);
}

int replies_render(struct replies *ret_replies)
{
	int r = 0;

	for (int i = 0; !r && i < REPLY_COUNT * REPLY_CONNECTIONS; i++)
		r = reply_render(i / REPLY_CONNECTIONS, i % REPLY_CONNECTIONS,
				 &ret_replies->templates[i]);
	return r;
}

int replies_put(struct kernel *kernel)
{
	struct replies replies;
	int r = replies_render(&replies);

	for (int i = 0; !r && i < REPLY_COUNT * REPLY_CONNECTIONS; i++)
		r = kernel_put_reply(kernel, i / REPLY_CONNECTIONS, i % REPLY_CONNECTIONS,
				     &replies.templates[i]);
	return r;
}

size_t replies_write(const struct replies *replies, const struct owed *owed, uint64_t now_ms,
		     uint8_t ret_bytes[REPLY_SIZE])
{
	uint32_t random[TRACE_ID_SIZE / REPLY_TRACE_PART];
	const struct reply_template *template;
	size_t length;

	if (owed->reply >= REPLY_COUNT * REPLY_CONNECTIONS)
		return 0;
	template = &replies->templates[owed->reply];
	length = owed->head_only ? template->head_length : template->length;
	memcpy(ret_bytes, template->bytes, length);
	if (template->retry_after_at)
		reply_put_retry_after(ret_bytes + template->retry_after_at, owed->reset_minute,
				      now_ms);
	if (template->reset_at)
		reply_put_reset(ret_bytes + template->reset_at,
				owed->reset_minute * LIMIT_MINUTE_MS);
	/* A HEAD request's answer ends before the body, in which the trace id stands. */
	if (owed->head_only)
		return length;
	take_random(random, sizeof(random));
	for (size_t i = 0; i < ARRAY_SIZE(random); i++)
		reply_put_trace(ret_bytes + template->trace_id_at + i * REPLY_TRACE_PART,
				random[i]);
	return length;
}

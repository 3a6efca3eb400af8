// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate's own answers, head and body, with places for what varies. */
#include "replies.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

int replies_put(struct kernel *kernel)
{
	struct reply_template template;
	int err;

	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		for (int connection = 0; connection < REPLY_CONNECTIONS; connection++) {
			err = reply_render(reply, connection, &template);
			if (!err)
				err = kernel_put_reply(kernel, reply, connection, &template);
			if (err)
				return err;
		}
	}
	return 0;
}

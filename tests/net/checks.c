// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the contract says of the gate's own answers, checked. */
#include "http_client.h"

#include <string.h>

#include "harness.h"

#define MINUTE_MS	60000ull
#define DAY_MS		(24 * 60 * MINUTE_MS)
#define TRACE_ID_LENGTH 24

struct refusal {
	int status;
	const char *code;
	const char *text; /* NULL: the contract leaves it open */
	bool closes;
};

static const struct refusal refusals[] = {
	{ 401, "UNAUTHORIZED", "Invalid or expired API key.", false },
	{ 429, "RATE_LIMITED", "Rate limit exceeded. Please try again later.", false },
	{ 400, "BAD_REQUEST", NULL, true },
	{ 417, "EXPECTATION_FAILED", NULL, true },
	{ 431, "HEADERS_TOO_LARGE", NULL, true },
	{ 505, "VERSION_NOT_SUPPORTED", NULL, true },
};

/* Take what stands at *at if it is text. */
static bool take(const char **at, const char *end, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(end - *at) < length || memcmp(*at, text, length))
		return false;
	*at += length;
	return true;
}

/* Take a JSON string's characters up to its closing quote; it may hold no escapes. */
static bool take_string(const char **at, const char *end, char *ret_text, size_t size)
{
	const char *quote = memchr(*at, '"', end - *at);
	size_t length = quote ? quote - *at : 0;

	if (!length || length >= size || memchr(*at, '\\', length))
		return false;
	memcpy(ret_text, *at, length);
	ret_text[length] = '\0';
	*at = quote;
	return true;
}

/* The body, byte for byte: four members in order, the same text twice, a new trace id. */
static bool body_is_right(const struct response *response, const struct refusal *refusal,
			  char trace_id[HEADER_SIZE])
{
	const char *at = response->body, *end = response->body + response->body_length;
	char error[HEADER_SIZE], message[HEADER_SIZE], code[HEADER_SIZE];

	if (!take(&at, end, "{\"error\":\"") || !take_string(&at, end, error, sizeof(error)) ||
	    !take(&at, end, "\",\"message\":\"") ||
	    !take_string(&at, end, message, sizeof(message)) || !take(&at, end, "\",\"code\":\"") ||
	    !take_string(&at, end, code, sizeof(code)) ||
	    !take(&at, end, "\",\"traceId\":\"req_") ||
	    !take_string(&at, end, trace_id, HEADER_SIZE) || !take(&at, end, "\"}") || at != end)
		return false;
	return !strcmp(error, message) && (!refusal->text || !strcmp(error, refusal->text)) &&
	       !strcmp(code, refusal->code) && strlen(trace_id) == TRACE_ID_LENGTH &&
	       strspn(trace_id, "abcdefghijklmnopqrstuvwxyz0123456789") == TRACE_ID_LENGTH;
}

static void expect_status(const struct response *response, int status)
{
	if (response->status < 0)
		fail_msg("expected %d, got no answer: %s", status, strerror(-response->status));
	if (response->status != status)
		fail_msg("expected %d, got: %.*s", status, (int)response->head_length,
			 response->head);
}

void expect_refusal(const struct response *response, int status, char trace_id[HEADER_SIZE])
{
	const struct refusal *refusal = refusals;
	char value[HEADER_SIZE], own_trace_id[HEADER_SIZE];

	while (refusal->status != status)
		refusal++;
	expect_status(response, status);
	if (!body_is_right(response, refusal, trace_id ? trace_id : own_trace_id))
		fail_msg("not the body of a %d: %.*s", status, (int)response->body_length,
			 response->body);
	assert_string_equal(header_value(response, "Content-Type", value), "application/json");
	assert_int_equal(header_count(response, "Content-Length"), 1);
	assert_int_equal(header_count(response, "WWW-Authenticate"), status == 401);
	assert_int_equal(header_count(response, "X-RateLimit-Remaining"), status == 429);
	assert_int_equal(header_count(response, "X-RateLimit-Reset"), status == 429);
	assert_int_equal(header_count(response, "Retry-After"), status == 429);
	if (refusal->closes)
		assert_string_equal(header_value(response, "Connection", value), "close");
}

void expect_admitted(const struct response *response, int status)
{
	expect_status(response, status);
	if (header_count(response, "X-RateLimit-Remaining") != 1 ||
	    header_count(response, "X-RateLimit-Reset") != 1)
		fail_msg("not each header once: %.*s", (int)response->head_length, response->head);
	assert_true(header_number(response, "X-RateLimit-Remaining") >= 0);
	assert_int_equal(header_count(response, "Retry-After"), 0);
}

bool limit_answer_is_right(const struct response *response, uint64_t sent_ms, uint64_t answered_ms)
{
	int64_t reset_ms = header_number(response, "X-RateLimit-Reset");
	int64_t retry_after = header_number(response, "Retry-After");
	int64_t longest, shortest;

	if (response->status != 429 || header_number(response, "X-RateLimit-Remaining") != 0)
		return false;
	if (header_count(response, "X-RateLimit-Reset") != 1 ||
	    header_count(response, "X-RateLimit-Remaining") != 1 ||
	    header_count(response, "Retry-After") != 1)
		return false;
	/* The end of the minute or of the day in which the verdict fell. */
	if ((uint64_t)reset_ms != (sent_ms / MINUTE_MS + 1) * MINUTE_MS &&
	    (uint64_t)reset_ms != (answered_ms / MINUTE_MS + 1) * MINUTE_MS &&
	    (uint64_t)reset_ms != (sent_ms / DAY_MS + 1) * DAY_MS &&
	    (uint64_t)reset_ms != (answered_ms / DAY_MS + 1) * DAY_MS)
		return false;
	longest = (reset_ms - (int64_t)sent_ms + 999) / 1000;
	shortest = (reset_ms - (int64_t)answered_ms + 999) / 1000;
	if (longest < 1)
		longest = 1;
	if (shortest < 1)
		shortest = 1;
	return retry_after >= shortest && retry_after <= longest;
}

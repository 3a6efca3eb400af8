// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Well-formed requests by grammar, and the answers that each must get. */
#include "stream.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX 24
#define BODY_ROOM  65536

enum credential { GOOD, UNKNOWN, SPENT, MALFORMED, NONE };
enum framing { NO_BODY, BY_LENGTH, BY_CHUNKS };

struct fields {
	char lines[FIELDS_MAX][1400];
	size_t count;
};

struct plan {
	enum credential credential;
	enum framing framing;
	const char *method;
	bool lenient; /* the server is ours, and takes what RFC 9112 allows and others do not read */
	bool http10, closes, expects, head;
	char how;
	size_t answer_size, body_size;
	struct fields fields;
	char body[BODY_ROOM];
};

static char *add_field(struct plan *plan)
{
	return plan->fields.lines[plan->fields.count++];
}

#define FIELD_SIZE     sizeof(((struct fields *)0)->lines[0])
#define add(plan, ...) snprintf(add_field(plan), FIELD_SIZE, __VA_ARGS__)

size_t hidden_request(struct mutator *mutator, char *to, size_t size)
{
	static const char *const credentials[] = {
		"Authorization: Bearer " OTHER_SECRET "\r\n",
		"X-Key-Id: " OTHER_ID "; account=other\r\n",
		"X-Key-Id: " OWN_ID "; account=own\r\n",
		"",
	};
	static const char *const ends[] = { "\r\n", "\r\n", "Content-Length: 400\r\n\r\n", "X: y" };

	return snprintf(to, size, "%s /hidden HTTP/1.1\r\nHost: a\r\n%s%s",
			chance(mutator, 2) ? "GET" : "POST", pick(mutator, credentials),
			pick(mutator, ends));
}

/* --- fields ----------------------------------------------------------------------------------- */

static void add_good_credential(struct plan *plan, struct mutator *mutator, const char *secret)
{
	static const char *const forms[] = {
		"Authorization: Bearer %s",	  "Authorization: Bearer %s",
		"authorization: bearer %s",	  "AUTHORIZATION:BEARER  %s",
		"Authorization: \t Bearer %s \t", "aUTHORIZATION:bEARER    %s  ",
	};
	const char *form = pick(mutator, forms);
	const char *place = strstr(form, "%s");

	add(plan, "%.*s%s%s", (int)(place - form), form, secret, place + 2);
}

static void add_credential(struct plan *plan, struct mutator *mutator)
{
	static const char *const malformed[] = {
		"Authorization: Bearer",
		"Authorization:",
		"Authorization: Basic b3duOm93bg==",
		"Authorization: Bearer\t" OWN_SECRET,
		"Authorization: Bearer " OWN_SECRET "x",
		"Authorization: Bearer gx_" OWN_SECRET,
		"Authorization: Bearer \"" OWN_SECRET "\"",
		"Authorization: " OWN_SECRET,
		"X-Authorization: Bearer " OWN_SECRET,
		"Proxy-Authorization: Bearer " OWN_SECRET,
		"Cookie: Authorization=" OWN_SECRET,
		"X: Authorization: Bearer " OWN_SECRET,
	};

	if (plan->credential == MALFORMED)
		add(plan, "%s", pick(mutator, malformed));
	else if (plan->credential != NONE)
		add_good_credential(plan, mutator,
				    plan->credential == GOOD	? OWN_SECRET
				    : plan->credential == SPENT ? SPENT_SECRET
								: UNKNOWN_SECRET);
}

/* Fields that change nothing. */
static void add_ordinary(struct plan *plan, struct mutator *mutator)
{
	static const char *const ordinary[] = {
		"Accept: */*",
		"User-Agent: fuzz",
		"X-Empty:",
		"X-Key-Id: " OTHER_ID "; account=other",
		"x_key_id: " OWN_ID,
		"X-KEY_ID:key_forgedforge",
		"Cookie: a=b; c=\"d\"",
		"X-Obs: \xc3\xa4\xff",
		"Content-Type: application/json",
		"X-Line: GET /hidden HTTP/1.1",
		"Connection: keep-alive",
		"X-RateLimit-Remaining: 5",
		"TE: trailers",
		"Content-Lengths: 5",
		"Via: 1.1 proxy",
	};
	unsigned int count = draw(mutator, 6), foreign = 0, connections = 0;

	for (unsigned int i = 0; i < count; i++) {
		const char *line = pick(mutator, ordinary);

		foreign += line[0] == 'x' || !strncmp(line, "X-K", 3);
		connections += line[0] == 'C' && line[3] == 'n' && line[4] == 'e';
		/* More than four of one are refused, and HTTP/1.0 is told to keep alive once. */
		if (foreign <= 4 && !(line[3] == 'n' && line[4] == 'e' &&
				      (connections > 1 || plan->http10 || plan->closes)))
			add(plan, "%s", line);
	}
	for (unsigned int i = chance(mutator, 20) ? draw(mutator, 6) : 0; i; i--) {
		char *line = add_field(plan);

		memset(line, 'c', FIELD_SIZE - 1);
		memcpy(line, "Cookie: ", 8);
		line[8 + draw(mutator, FIELD_SIZE - 9)] = '\0';
		line[FIELD_SIZE - 1] = '\0';
	}
}

static void add_framing(struct plan *plan, struct mutator *mutator)
{
	static const char *const codings[] = { "Transfer-Encoding: chunked",
					       "transfer-encoding:CHUNKED",
					       "Transfer-Encoding: \tChunked\t " };

	if (plan->framing == BY_LENGTH) {
		switch (draw(mutator, plan->lenient ? 3 : 2)) {
		case 0:
			add(plan, "Content-Length: %zu", plan->body_size);
			break;
		case 1:
			add(plan, "content-length:%zu", plan->body_size);
			break;
		default:
			add(plan, "CONTENT-LENGTH: \t%zu \t", plan->body_size);
		}
	} else if (plan->framing == BY_CHUNKS) {
		add(plan, "%s", codings[draw(mutator, plan->lenient ? 3 : 2)]);
	}
	if (plan->expects)
		add(plan, "%s: %s", chance(mutator, 2) ? "Expect" : "expect",
		    chance(mutator, 2) ? "100-continue" : "100-Continue");
}

static void add_connection(struct plan *plan, struct mutator *mutator)
{
	if (plan->closes && !plan->http10)
		add(plan, "%s: %s", chance(mutator, 2) ? "Connection" : "connection",
		    chance(mutator, 2) ? "close" : "Close");
	else if (!plan->closes && plan->http10)
		add(plan, "Connection: %s", chance(mutator, 2) ? "keep-alive" : "Keep-Alive");
}

static void put_fields(struct stream *stream, struct mutator *mutator, struct fields *fields)
{
	while (fields->count) {
		size_t which = draw(mutator, fields->count);

		put(stream, "%s\r\n", fields->lines[which]);
		memmove(fields->lines[which], fields->lines[--fields->count], FIELD_SIZE);
	}
	put(stream, "\r\n");
}

/* --- bodies -------------------------------------------------------------------------------------- */

/* What a recipient that loses count would take for something else. */
static void make_body(struct plan *plan, struct mutator *mutator)
{
	static const char *const lures[] = {
		"0\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n",
		"\n\n",	     "\0\0\0"
	};
	size_t wanted = draw(mutator, chance(mutator, 10) ? 20000 : 300), used = 0;

	while (used < wanted) {
		size_t piece = draw(mutator, 200);

		switch (draw(mutator, plan->lenient ? 3 : 2)) {
		case 0:
			used += hidden_request(mutator, plan->body + used, BODY_ROOM - used);
			break;
		case 1:
			used += snprintf(plan->body + used, BODY_ROOM - used, "%s",
					 pick(mutator, lures));
			break;
		default:
			memset(plan->body + used, 'b', piece);
			used += piece;
		}
	}
	plan->body_size = used;
}

void put_chunks(struct stream *stream, struct mutator *mutator, const char *bytes, size_t size)
{
	static const char *const extensions[] = { "", "", "", "", ";a=b", ";a", ";a=b;c=d" };
	size_t largest = 1 + draw(mutator, chance(mutator, 3) ? 4000 : 60);

	while (size) {
		size_t length = 1 + draw(mutator, size < largest ? size : largest);

		length = length < size ? length : size;
		put(stream,
		    chance(mutator, 2)	 ? "%zx"
		    : chance(mutator, 2) ? "%zX"
					 : "%08zx",
		    length);
		put(stream, "%s\r\n", pick(mutator, extensions));
		put_bytes(stream, bytes, length);
		put(stream, "\r\n");
		bytes += length;
		size -= length;
	}
	put(stream, "%s%s\r\n\r\n", chance(mutator, 5) ? "000" : "0", pick(mutator, extensions));
}

static void put_body(struct stream *stream, struct mutator *mutator, const struct plan *plan)
{
	if (plan->framing == BY_LENGTH)
		put_bytes(stream, plan->body, plan->body_size);
	else if (plan->framing == BY_CHUNKS)
		put_chunks(stream, mutator, plan->body, plan->body_size);
}

/* --- requests ------------------------------------------------------------------------------------ */

static char choose_how(const struct stream *stream, struct mutator *mutator,
		       const struct plan *plan, bool last)
{
	char how = "lllppccbnmieu"[draw(mutator, 13)];

	/* Node ends the connection where it may not say how long a body is. */
	if (plan->http10 && strchr("cinm", how))
		how = 'l';
	/* Node writes interim answers into an answer that still runs. */
	if (stream->server == NODE_SERVER && how == 'i')
		how = 'p';
	/* Node closes behind the last answer, body or not, and what the client has not read is lost. */
	if (stream->server == NODE_SERVER && how == 'e' && plan->closes)
		how = 'l';
	if ((how == 'b' && !plan->lenient) || (how == 'u' && !last))
		how = 'p';
	return how;
}

static void choose(const struct stream *stream, struct mutator *mutator, struct plan *plan,
		   bool last)
{
	static const enum credential credentials[] = { GOOD, GOOD,  GOOD,  GOOD,     GOOD,
						       GOOD, GOOD,  GOOD,  UNKNOWN,  UNKNOWN,
						       NONE, SPENT, SPENT, MALFORMED };
	static const char *const plain[] = { "GET",    "GET",	  "GET", "HEAD",
					     "DELETE", "OPTIONS", "POST" };
	static const char *const bodied[] = { "POST", "POST", "PUT", "PATCH", "GET", "DELETE" };
	static const char *const rare[] = { "get", "SLUDGE", "M-SEARCH", "X!#$%&'*+.^_`|~" };

	plan->lenient = stream->server <= LENIENT_BODYLESS;
	plan->credential = pick(mutator, credentials);
	plan->http10 = chance(mutator, 10);
	plan->closes = last && chance(mutator, 3);
	plan->framing = draw(mutator, 3);
	if (plan->framing == BY_CHUNKS && plan->http10)
		plan->framing = BY_LENGTH;
	if (plan->framing != NO_BODY)
		make_body(plan, mutator);
	plan->method = plan->framing ? pick(mutator, bodied) : pick(mutator, plain);
	if (plan->lenient && chance(mutator, 20))
		plan->method = pick(mutator, rare);
	plan->head = !strcmp(plan->method, "HEAD");
	plan->how = choose_how(stream, mutator, plan, last);
	plan->answer_size = draw(mutator, 150);
	if (plan->how != 'b' && chance(mutator, 10))
		plan->answer_size = draw(mutator, chance(mutator, 10) ? 200000 : 20000);
	/* Refused, the client may have sent its body or not: nothing follows then. */
	plan->expects = plan->framing && plan->body_size && chance(mutator, 6) && !plan->http10 &&
			(plan->credential == GOOD || last) &&
			(stream->server != NODE_SERVER || !stream->expected_count);
}

static void expect(struct stream *stream, const struct plan *plan, unsigned int number)
{
	struct expected *expected = &stream->expected[stream->expected_count++];

	expected->number = number;
	expected->bodyless = plan->head;
	expected->status = plan->credential == GOOD ? 200 : plan->credential == SPENT ? 429 : 401;
	if (plan->credential == GOOD) {
		expected->size = plan->answer_size;
		if (plan->how == 'n' || plan->how == 'm') {
			expected->status = plan->how == 'n' ? 204 : 304;
			expected->bodyless = true;
		}
	}
	stream->ends = plan->closes || (plan->how == 'u' && plan->credential == GOOD);
}

static void put_request_line(struct stream *stream, struct mutator *mutator,
			     const struct plan *plan, unsigned int number)
{
	static const char *const queries[] = { "", "", "", "", "?a=b&c=%00", "?gx_", ";x" };
	bool absolute = chance(mutator, 20);

	/* Python's server takes the empty line before a request for the end. */
	if (chance(mutator, 20) && stream->server != PYTHON_SERVER)
		put(stream, "\r\n");
	put(stream, "%s %s/r/%u/%zu/%c%s HTTP/1.%c\r\n", plan->method,
	    absolute ? "http://api.test" : "", number, plan->answer_size, plan->how,
	    pick(mutator, queries), plan->http10 ? '0' : '1');
}

static void mark(struct stream *stream, uint32_t answers)
{
	stream->marks[stream->mark_count++] = (struct mark){ stream->size, answers };
}

bool put_request(struct stream *stream, struct mutator *mutator, bool last)
{
	unsigned int number = stream->expected_count;
	static __thread struct plan plan;

	memset(&plan, 0, offsetof(struct plan, body));
	choose(stream, mutator, &plan, last);
	mark(stream, number);
	put_request_line(stream, mutator, &plan, number);
	if (!plan.http10 || chance(mutator, 2))
		add(&plan, "%s", chance(mutator, 4) ? "host:api.test" : "Host: API.test");
	else
		add(&plan, "X: no host");
	add_credential(&plan, mutator);
	add_framing(&plan, mutator);
	add_connection(&plan, mutator);
	add_ordinary(&plan, mutator);
	put_fields(stream, mutator, &plan.fields);
	if (plan.expects)
		mark(stream, number);
	put_body(stream, mutator, &plan);
	expect(stream, &plan, number);
	return !last;
}

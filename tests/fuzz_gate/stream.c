// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whole streams: requests one behind the other, changed or not, cut into segments. */
#include "stream.h"

#include <string.h>

#define PAUSES_MAX 24

static const char *const kind_names[] = { "formed", "refused", "cut", "mutated" };
static const char *const server_names[] = { "length", "chunked", "bodyless", "node", "python" };

const char *stream_kind_name(enum stream_kind kind)
{
	return kind_names[kind];
}

const char *server_name(enum server server)
{
	return server_names[server];
}

static void step(struct stream *stream, enum step_kind kind, uint32_t amount)
{
	if (stream->step_count < STEPS_MAX)
		stream->steps[stream->step_count++] = (struct step){ kind, amount };
}

/* How many bytes the next segment has. */
static size_t segment(struct mutator *mutator, unsigned int manner, size_t left)
{
	size_t size = left;

	switch (manner) {
	case 0: /* all at once */
		break;
	case 1: /* byte by byte, as far as there are steps for it */
		size = 1;
		break;
	case 2: /* small */
		size = 1 + draw(mutator, 40);
		break;
	case 3: /* of any size */
		size = 1 + draw(mutator, left);
		break;
	case 4: /* two, the second one small */
		size = left > 8 ? left - 1 - draw(mutator, 6) : 1;
		break;
	default: /* as a network would */
		size = 1 + draw(mutator, 1460);
	}
	return size < left ? size : left;
}

/* Cut bytes up to `end` into segments, some of them with a pause behind. */
static size_t cut_to(struct stream *stream, struct mutator *mutator, size_t at, size_t end,
		     unsigned int *pauses)
{
	unsigned int manner = draw(mutator, 7), often = 1 + draw(mutator, 20);

	while (at < end && stream->step_count < STEPS_MAX - 2 * REQUESTS_MAX) {
		size_t size = segment(mutator, manner, end - at);

		/* Too small a step for so many bytes. */
		if (end - at > 3000 && manner < 3)
			size = end - at;
		step(stream, SEND, size);
		at += size;
		if (*pauses && chance(mutator, often)) {
			(*pauses)--;
			step(stream, PAUSE, 1 << draw(mutator, 12));
		}
	}
	if (at < end)
		step(stream, SEND, end - at);
	return end;
}

/* Whether, at a mark, the client waits for the answers it was promised, or a moment, or not. */
static void lay_steps(struct stream *stream, struct mutator *mutator)
{
	unsigned int patience = draw(mutator, 3), pauses = PAUSES_MAX;
	size_t at = 0;

	for (size_t i = 0; i < stream->mark_count && stream->kind != MUTATED; i++) {
		const struct mark *mark = &stream->marks[i];

		if (patience == 2 && chance(mutator, 2))
			continue;
		if (mark->at > at && patience)
			at = cut_to(stream, mutator, at, mark->at, &pauses);
		if (!patience || mark->at != at)
			continue;
		if (chance(mutator, 4))
			step(stream, PAUSE, 500);
		else
			step(stream, AWAIT, mark->answers);
	}
	cut_to(stream, mutator, at, stream->size, &pauses);
}

/* End it somewhere on the way. */
static void cut_short(struct stream *stream, struct mutator *mutator)
{
	size_t at = draw(mutator, stream->step_count);

	if (stream->steps[at].kind == SEND)
		stream->steps[at].amount = draw(mutator, stream->steps[at].amount + 1);
	stream->step_count = at + 1;
	step(stream, chance(mutator, 2) ? FIN : RST, 0);
}

static void change(struct stream *stream, struct mutator *mutator)
{
	static const char other[] = "\r\n\r\nGET /hidden HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
				    "Content-Length: 3\r\n\r\n0\r\n\r\n100\r\n \r\n\t";
	unsigned int changes = 1 + draw(mutator, chance(mutator, 3) ? 20 : 3);

	while (changes--)
		stream->size = mutate(mutator, stream->bytes, stream->size, STREAM_ROOM, other,
				      sizeof(other) - 1);
}

/* The client's side of TCP: small segments, a small window, slow reading. */
static void choose_transport(struct stream *stream, struct mutator *mutator)
{
	static const unsigned int segments[] = { 0, 0, 0, 100, 536, 1460 };

	stream->segment = pick(mutator, segments);
	if (stream->segment && chance(mutator, 2))
		stream->window = 4096 << draw(mutator, 4);
	if (chance(mutator, 8))
		stream->reads = 1 + draw(mutator, 3000);
}

/* Each number has bits of its own, whatever the seed. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

void stream_make(struct stream *stream, uint64_t seed, uint64_t number)
{
	struct mutator mutator = { .state = mix(mix(seed) + number) | 1 };
	bool refused;
	int requests;

	memset(stream, 0, offsetof(struct stream, steps));
	stream->server = draw(&mutator, SERVERS);
	stream->kind = draw(&mutator, STREAM_KINDS);
	choose_transport(stream, &mutator);
	requests = 1 + draw(&mutator, chance(&mutator, 10) ? 40 : 6);
	refused = stream->kind == REFUSED || (stream->kind != FORMED && chance(&mutator, 2));
	requests -= refused;
	for (int i = 0; i < requests; i++) {
		/* What is behind a request that may end the connection would be lost. */
		bool last = !refused && (i == requests - 1 || stream->size > STREAM_ROOM / 2);

		if (stream->size > STREAM_ROOM / 2 && refused)
			break;
		if (!put_request(stream, &mutator, last))
			break;
	}
	if (refused)
		put_refused(stream, &mutator);
	if (stream->kind == MUTATED)
		change(stream, &mutator);
	lay_steps(stream, &mutator);
	if (stream->kind == CUT || (stream->kind == MUTATED && chance(&mutator, 2)))
		cut_short(stream, &mutator);
	else if (stream->kind == FORMED && stream->server <= LENIENT_BODYLESS &&
		 chance(&mutator, 4))
		step(stream, FIN, 0);
}

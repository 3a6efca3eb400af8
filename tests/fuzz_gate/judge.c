// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The promises of the gate, held against what was executed, counted and answered. */
#include "fuzz.h"

#include <string.h>

/* True for every stream, whatever it is. */
static void judge_safety(const struct stream *stream, struct verdict *verdict)
{
	const struct executed *executed = &verdict->executed;

	if (executed->unidentified)
		snprintf(verdict->why, WHY_SIZE,
			 "%u requests executed under no key of the client's",
			 executed->unidentified);
	else if (executed->own > verdict->own_counted)
		snprintf(verdict->why, WHY_SIZE, "%u requests executed, %llu counted",
			 executed->own, (unsigned long long)verdict->own_counted);
	else if (executed->other > verdict->other_counted)
		snprintf(verdict->why, WHY_SIZE, "smuggled: %u requests executed, %llu counted",
			 executed->other, (unsigned long long)verdict->other_counted);
	else if (verdict->spent_counted)
		snprintf(verdict->why, WHY_SIZE, "counted for a key without a request left");
	else if (executed->secret && stream->kind != MUTATED)
		snprintf(verdict->why, WHY_SIZE, "a secret reached the application");
	else if (executed->hidden && stream->kind != MUTATED)
		snprintf(verdict->why, WHY_SIZE, "a smuggled request was executed");
}

/* What was executed are the admitted ones, in order, and all of them where the stream was whole. */
static void judge_order(const struct stream *stream, struct verdict *verdict)
{
	const struct executed *executed = &verdict->executed;
	bool whole = stream->kind != CUT;
	unsigned int next = 0, admitted = 0;

	for (size_t i = 0; i < stream->expected_count; i++) {
		bool may = stream->expected[i].status < 400;
		bool body_turns_bad = stream->loose && i == stream->expected_count - 1;
		bool is_next = next < executed->count && next < EXECUTED_KEPT &&
			       executed->numbers[next] == i;

		next += (may || body_turns_bad) && is_next;
		admitted += may;
		if (may && whole && !is_next && next < EXECUTED_KEPT) {
			snprintf(verdict->why, WHY_SIZE, "request %zu was not executed in its turn",
				 i);
			return;
		}
	}
	if (next < executed->count && next < EXECUTED_KEPT)
		snprintf(verdict->why, WHY_SIZE, "executed out of turn: request %u at place %u",
			 executed->numbers[next], next);
	else if (verdict->other_counted)
		snprintf(verdict->why, WHY_SIZE, "a smuggled request was counted");
	else if (whole && (verdict->own_counted < admitted ||
			   verdict->own_counted > admitted + stream->loose))
		snprintf(verdict->why, WHY_SIZE, "%llu requests counted where %u are due",
			 (unsigned long long)verdict->own_counted, admitted);
}

bool may_end_unseen(const struct stream *stream)
{
	return stream->step_count && stream->steps[stream->step_count - 1].kind == RST;
}

void judge(const struct stream *stream, struct verdict *verdict)
{
	char answered[WHY_SIZE];

	/* What slipped through goes before what was answered. */
	snprintf(answered, sizeof(answered), "%s", verdict->why);
	verdict->why[0] = '\0';
	judge_safety(stream, verdict);
	if (!verdict->why[0] && stream->kind != MUTATED)
		judge_order(stream, verdict);
	if (answered[0])
		snprintf(verdict->why + strlen(verdict->why), WHY_SIZE - strlen(verdict->why),
			 "%s%s", verdict->why[0] ? "; " : "", answered);
	if (!verdict->why[0] && !verdict->executed.ended && !may_end_unseen(stream))
		snprintf(verdict->why, WHY_SIZE, "the application's connection does not end");
}

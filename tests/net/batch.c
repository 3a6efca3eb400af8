// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A row of the table of cases, made ready to be sent in one mode at all its cuts. */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>

#define CUTS_MAX      600
#define SOME_CUTS     10
#define LONG_ROW      65536 /* bytes; longer ones are cut less often */
#define LONG_CUTS     40
#define COUNTED_MAX   2500 /* requests that a batch counts, of a key's 10,000 a minute */
#define RENEWED_AT    5000 /* requests that a row's key has counted, when it gets another */
#define WEIGHT_MAX    65536
#define EDGE	      16   /* offsets at either end that are never left out */
#define SINGLE_BYTES  2000 /* longest row that is sent byte by byte */
#define FAILURES_MAX  12   /* cases that fail before a batch is given up */
#define FAILURE_LINES 3
#define ROWS_MAX      4096
#define DAY_MS	      86400000ull

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	assert_non_null(memory);
	return memory;
}

static char *copy(const char *text, size_t size)
{
	return memcpy(allocate(size + 1), text, size);
}

static void replace_keys(char *bytes, size_t size, const char *placeholder, const char *key)
{
	size_t length = strlen(placeholder);
	char *end = bytes + size;

	assert_int_equal(strlen(key), length);
	while ((bytes = memmem(bytes, end - bytes, placeholder, length))) {
		memcpy(bytes, key, length);
		bytes += length;
	}
}

/* The keys of a row, for all modes. */
struct row_keys {
	const struct row *row;
	struct key good, used;
	unsigned int counted; /* by the good one, on that day since the epoch */
	uint64_t day;
};

static struct row_keys all_keys[ROWS_MAX];

static struct row_keys *find_keys(const struct row *row)
{
	struct row_keys *keys = all_keys;

	while (keys->row && keys->row != row)
		keys++;
	assert_true(keys < all_keys + ROWS_MAX - 1);
	/* Soon enough that a minute's requests do not use one up, however many modes lie in it. */
	if (!keys->row || keys->counted > RENEWED_AT) {
		keys->row = row;
		keys->good = key_limited(10000, 100000);
		keys->counted = 0;
		keys->day = now_ms() / DAY_MS;
	}
	return keys;
}

/* A key whose only request of the day is used up. */
static const char *used_key(const struct destination *destination, struct row_keys *keys)
{
	struct client client;

	if (keys->used.text[0] && keys->day == now_ms() / DAY_MS)
		return keys->used.text;
	keys->used = key_limited(0, 1);
	assert_int_equal(client_connect(&client, destination->port), 0);
	assert_in_range(client_get(&client, AROUND, keys->used.text), 200, 499);
	client_close(&client);
	return keys->used.text;
}

/* Fill a key in wherever the batch holds it. */
static void fill_key(struct batch *batch, const char *placeholder, const char *key)
{
	replace_keys(batch->bytes, batch->size, placeholder, key);
	replace_keys(batch->executed_text, strlen(batch->executed_text), placeholder, key);
	replace_keys(batch->opaque, strlen(batch->opaque), placeholder, key);
}

static void fill_keys(struct batch *batch)
{
	struct row_keys *keys;

	if (batch->destination->ungated) {
		snprintf(batch->key.text, sizeof(batch->key.text), "%s", GOOD_KEY);
		return;
	}
	keys = find_keys(batch->row);
	batch->key = keys->good;
	batch->counted = keys->day == batch->day ? keys->counted : 0;
	if (memmem(batch->bytes, batch->size, USED_KEY, strlen(USED_KEY)))
		fill_key(batch, USED_KEY, used_key(batch->destination, keys));
	if (memmem(batch->bytes, batch->size, OTHER_KEY, strlen(OTHER_KEY)))
		fill_key(batch, OTHER_KEY, unknown_key());
	fill_key(batch, GOOD_KEY, batch->key.text);
}

/* Take the marks of WAIT() out of the bytes. */
static void find_waits(struct batch *batch)
{
	static const char mark[] = "<wait ";
	char *at;

	while ((at = memmem(batch->bytes, batch->size, mark, sizeof(mark) - 1))) {
		char *end = strchr(at, '>') + 1;

		assert_true(batch->wait_count < WAITS_MAX);
		batch->waits[batch->wait_count++] =
			(struct wait){ .at = at - batch->bytes,
				       .answers = strtoul(at + sizeof(mark) - 1, NULL, 10) };
		memmove(at, end, batch->bytes + batch->size - end);
		batch->size -= end - at;
	}
}

static void read_expectations(struct batch *batch)
{
	const char *at = batch->row->answers;
	char *end;

	while (*at) {
		assert_true(batch->answer_count < ANSWERS_MAX);
		batch->answers[batch->answer_count].status = strtol(at, &end, 10);
		assert_true(end > at);
		batch->answers[batch->answer_count++].no_body = *end == '-';
		at = end + (*end == '-');
		at += strspn(at, " ");
	}
	for (at = batch->executed_text; *at; at += strspn(at, THEN)) {
		size_t length = strcspn(at, THEN);

		assert_true(batch->executed_count < ANSWERS_MAX);
		batch->executed[batch->executed_count++] = digest_add(DIGEST_START, at, length);
		at += length;
	}
}

/* The most cuts: so many that they are done soon, and that the key lasts. */
static size_t cut_limit(const struct batch *batch)
{
	size_t counted = batch->executed_count + batch->row->unfinished + 2;
	size_t limit = batch->size > LONG_ROW ? LONG_CUTS : CUTS_MAX;
	enum share share = batch->row->share;

	if (share == SOME || (share == ONCE_FULL && batch->mode->moment != ACCEPTED))
		limit = SOME_CUTS;
	if (limit > COUNTED_MAX / counted)
		limit = COUNTED_MAX / counted;
	if (batch->destination->sample && limit > batch->destination->sample)
		limit = batch->destination->sample;
	return limit;
}

struct batch *batch_new(const struct row *row, const struct mode *mode,
			const struct destination *destination)
{
	struct batch *batch = allocate(sizeof(*batch));

	batch->row = row;
	batch->mode = mode;
	batch->destination = destination;
	batch->size = row->size;
	batch->weight = row->size < WEIGHT_MAX ? row->size : WEIGHT_MAX;
	batch->bytes = copy(row->bytes, row->size);
	batch->executed_text = copy(row->executed, strlen(row->executed));
	batch->opaque = copy(row->opaque ? row->opaque : "", row->opaque ? strlen(row->opaque) : 0);
	batch->day = now_ms() / DAY_MS;
	find_waits(batch);
	fill_keys(batch);
	read_expectations(batch);
	batch->limit = cut_limit(batch);
	/* Behind the last byte before it is a cut, too, and before the first one behind it. */
	batch->cut_from = row->cut_from ? row->cut_from - 1 : 0;
	batch->cut_to = row->cut_to && row->cut_to < batch->size ? row->cut_to + 1 : batch->size;
	batch->next = batch->cut_from;
	return batch;
}

void batch_free(struct batch *batch)
{
	free(batch->bytes);
	free(batch->executed_text);
	free(batch->opaque);
	free(batch);
}

/* Whether a row that has too many offsets is cut at this one. */
static bool is_chosen(const struct batch *batch, size_t cut)
{
	uint64_t random = digest_add(batch->cut_from, &cut, sizeof(cut));

	if (batch->limit > 4 * EDGE &&
	    (cut <= batch->cut_from + EDGE || batch->cut_to - cut <= EDGE))
		return true;
	return random % (batch->cut_to - batch->cut_from) < batch->limit;
}

bool batch_next_cut(struct batch *batch, size_t *ret_cut)
{
	if (batch->failures >= FAILURES_MAX)
		return false;
	if (batch->mode->cutting != CUT) {
		*ret_cut = 0;
		batch->next++;
		return batch->next == batch->cut_from + 1;
	}
	while (++batch->next < batch->cut_to)
		if (batch->cut_to - batch->cut_from <= batch->limit ||
		    is_chosen(batch, batch->next))
			break;
	*ret_cut = batch->next;
	return batch->next < batch->cut_to;
}

size_t batch_segment_end(const struct batch *batch, size_t at, size_t cut, uint32_t random)
{
	size_t end = batch->size;

	switch (batch->mode->cutting) {
	case WHOLE:
		break;
	case CUT:
		end = at < cut ? cut : batch->size;
		break;
	case BYTES:
		end = at + 1;
		if (batch->size > SINGLE_BYTES)
			end += random % (batch->size / 250);
		break;
	case PIECES:
		end = at + 1 + random % (batch->size / 6 + 1);
		break;
	}
	for (size_t i = 0; i < batch->wait_count; i++)
		if (at < batch->waits[i].at && batch->waits[i].at < end)
			end = batch->waits[i].at;
	return end < batch->size ? end : batch->size;
}

bool batch_waits(const struct batch *batch, size_t sent, size_t answers)
{
	for (size_t i = 0; i < batch->wait_count; i++)
		if (sent == batch->waits[i].at && answers < batch->waits[i].answers)
			return true;
	return false;
}

bool batch_failed(struct batch *batch)
{
	return ++batch->failures <= FAILURE_LINES;
}

size_t batch_end(struct batch *batch)
{
	enum after after = batch->row->after;
	unsigned int minute, counted, slack;
	struct row_keys *keys;

	if (batch->failures > FAILURE_LINES)
		printf("# %s: %zu cases failed%s\n", batch->row->name, batch->failures,
		       batch->failures >= FAILURES_MAX ? ", and the rest were left out" : "");
	if (batch->destination->ungated)
		return 0;
	keys = find_keys(batch->row);
	key_used(&batch->key, &minute, &keys->counted);
	keys->day = now_ms() / DAY_MS;
	counted = keys->counted - batch->counted;
	/* A day that has ended takes its count along. */
	if (!batch->destination->table || keys->day != batch->day)
		return 0;
	/* Of what turned bad, nothing need have reached the application. */
	slack = batch->failures || after == BREAKS ? counted : 0;
	/* One request at most for each that it was given is left unread. */
	if (after == LEAVES && !slack)
		slack = batch->heads;
	/* So is one for each case that was sent again: the application closed before it read that. */
	slack += batch->again;
	if (batch->heads <= counted && counted <= batch->heads + slack)
		return 0;
	printf("# %s: the application was given %zu requests, the key has counted %u\n",
	       batch->row->name, batch->heads, counted);
	return 1;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Many streams through the gate, on several connections at a time. */
#include "fuzz.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "net/http_client.h"

#define WORKERS	     12
#define PAIRS	     8	  /* pairs of keys of each worker: no limit is met in an hour */
#define AGAIN	     10	  /* how often a finding is tried again, */
#define AGAIN_MS     5000 /* in so much time */
#define FINDINGS_MAX 20
#define SETTLE_MS    100
#define REPLAYS	     20 /* of each connection */
#define REPORT_MS    60000
#define DAY_MS	     86400000ull

_Static_assert(sizeof(OWN_SECRET) == sizeof(OTHER_SECRET) &&
		       sizeof(OWN_SECRET) == sizeof(SPENT_SECRET) &&
		       sizeof(OWN_SECRET) == sizeof(UNKNOWN_SECRET) &&
		       sizeof(OWN_SECRET) == sizeof("gx_") + 49,
	       "placeholders are as long as keys");
_Static_assert(sizeof(OWN_ID) == sizeof(OTHER_ID) && sizeof(OWN_ID) == sizeof("key_") + 12,
	       "placeholders are as long as ids");

struct pair {
	struct key own, other;
	uint32_t own_slot, other_slot;
	uint64_t own_before, other_before;
};

struct worker {
	pthread_t thread;
	struct pair pairs[PAIRS];
	unsigned int turn;
	struct stream stream;
};

static struct worker *workers;
static const struct fuzz_options *options;
static struct fuzz_result result;
static struct key spent;
static char unknown[80];
static uint32_t spent_slot;
static uint64_t spent_before, end_ms, next_number;

static void add(uint64_t *to, uint64_t amount)
{
	__atomic_fetch_add(to, amount, __ATOMIC_SEQ_CST);
}

/* --- keys ------------------------------------------------------------------------------------------ */

static void make_pair(struct pair *pair)
{
	pair->own = key_limited(10000, 100000);
	pair->other = key_limited(10000, 100000);
	pair->own_slot = usage_slot(&pair->own);
	pair->other_slot = usage_slot(&pair->other);
}

/* The key with one request a day, and that one used. */
static void spend(void)
{
	struct client client;

	spent = key_limited(1, 1);
	spent_slot = usage_slot(&spent);
	assert_int_equal(client_connect(&client, server_port(LENIENT_LENGTH)), 0);
	assert_int_equal(client_get(&client, "/r/0/2/l", spent.text), 200);
	client_close(&client);
	spent_before = usage_admitted(spent_slot);
}

static void make_workers(void)
{
	workers = calloc(WORKERS, sizeof(*workers));
	assert_non_null(workers);
	for (int i = 0; i < WORKERS; i++)
		for (int n = 0; n < PAIRS; n++)
			make_pair(&workers[i].pairs[n]);
	snprintf(unknown, sizeof(unknown), "%s", unknown_key());
	spend();
}

/* --- one stream -------------------------------------------------------------------------------------- */

/* Deliver the worker's stream with a pair of keys that nobody else uses meanwhile, and judge it. */
static void try_stream(struct worker *worker, struct verdict *ret_verdict)
{
	struct pair *pair = &worker->pairs[worker->turn++ % PAIRS];
	struct stream *stream = &worker->stream;
	struct texts texts = {
		.own_secret = pair->own.text,
		.other_secret = pair->other.text,
		.spent_secret = spent.text,
		.unknown_secret = unknown,
		.own_id = pair->own.id,
		.other_id = pair->other.id,
	};
	uint64_t own = usage_admitted(pair->own_slot), other = usage_admitted(pair->other_slot);
	uint64_t begun_ms = monotonic_ms();
	uint16_t port;
	bool unseen; /* as a rule */
	int fd;

	*ret_verdict = (struct verdict){ 0 };
	fd = deliver_connect(stream, &port);
	if (fd < 0) {
		snprintf(ret_verdict->why, WHY_SIZE, "connecting: %s", strerror(-fd));
		return;
	}
	ledger_open(stream->server, port, &texts);
	deliver(fd, stream, &texts, &ret_verdict->answers, ret_verdict->why);
	ret_verdict->took_ms = monotonic_ms() - begun_ms;
	/* First what was executed, then what was counted: counting comes before executing. */
	unseen = stream->server == NODE_SERVER && may_end_unseen(stream);
	ret_verdict->executed =
		ledger_close(stream->server, port, unseen ? SETTLE_MS : PATIENCE_MS);
	ret_verdict->own_counted = usage_admitted(pair->own_slot) - own;
	ret_verdict->other_counted = usage_admitted(pair->other_slot) - other;
	ret_verdict->spent_counted = usage_admitted(spent_slot) - spent_before;
	judge(stream, ret_verdict);
	add(&result.streams, 1);
	add(&result.bytes, stream->size);
	add(&result.requests_executed, ret_verdict->executed.count);
	add(&result.requests_counted, ret_verdict->own_counted + ret_verdict->other_counted);
	free(ret_verdict->answers.bytes);
}

/* Keep a finding: what, where, and whether it comes again. */
static void keep(struct worker *worker, const struct verdict *verdict, const char *name)
{
	char folder[300], path[400];
	struct verdict again;
	unsigned int times = 0, tries = 0;
	uint64_t until_ms = monotonic_ms() + AGAIN_MS;

	snprintf(folder, sizeof(folder), "%s/build/fuzz-gate", stage.root);
	mkdir(folder, 0755);
	snprintf(path, sizeof(path), "%s/%s.stream", folder, name);
	if (stream_save(&worker->stream, path, verdict->why))
		snprintf(path, sizeof(path), "(not saved)");
	for (; tries < AGAIN && monotonic_ms() < until_ms; tries++) {
		try_stream(worker, &again);
		times += again.why[0] != '\0';
	}
	printf("# finding: %s, %s stream to %s: %s\n#   after %llu ms executed %u, counted %llu; "
	       "again %u of "
	       "%u times\n",
	       name, stream_kind_name(worker->stream.kind), server_name(worker->stream.server),
	       verdict->why, (unsigned long long)verdict->took_ms, verdict->executed.own,
	       (unsigned long long)verdict->own_counted, times, AGAIN);
	printf("#   saved in %s\n", path);
}

static bool goes_on(uint64_t number)
{
	if (options->count && number >= options->first + options->count)
		return false;
	return monotonic_ms() < end_ms &&
	       __atomic_load_n(&result.findings, __ATOMIC_SEQ_CST) < FINDINGS_MAX;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct verdict verdict;
	char name[64];

	for (;;) {
		uint64_t number = __atomic_fetch_add(&next_number, 1, __ATOMIC_SEQ_CST);
		uint64_t day = now_ms() / DAY_MS;

		if (!goes_on(number))
			return NULL;
		stream_make(&worker->stream, options->seed, number);
		if (server_missing(worker->stream.server))
			continue;
		try_stream(worker, &verdict);
		/* At midnight the key without a request left has one again. */
		if (!verdict.why[0] || now_ms() / DAY_MS != day)
			continue;
		add(&result.findings, 1);
		snprintf(name, sizeof(name), "%llx-%llu", (unsigned long long)options->seed,
			 (unsigned long long)number);
		keep(worker, &verdict, name);
	}
}

/* --- all --------------------------------------------------------------------------------------------- */

/* Send the stream of a file again and again. */
static void *replay(void *argument)
{
	struct worker *worker = argument;
	struct verdict verdict;

	for (int i = 0; i < REPLAYS; i++) {
		try_stream(worker, &verdict);
		if (!verdict.why[0])
			continue;
		add(&result.findings, 1);
		printf("# executed %u, counted %llu, %u answers: %s\n", verdict.executed.count,
		       (unsigned long long)verdict.own_counted, verdict.answers.count, verdict.why);
	}
	return NULL;
}

static void report(uint64_t start_ms)
{
	uint64_t ms = monotonic_ms() - start_ms + 1;

	printf("# %llu s: %llu streams (%llu a second), %llu requests executed, %llu counted, "
	       "%llu findings\n",
	       (unsigned long long)ms / 1000, (unsigned long long)result.streams,
	       (unsigned long long)(result.streams * 1000 / ms),
	       (unsigned long long)result.requests_executed,
	       (unsigned long long)result.requests_counted, (unsigned long long)result.findings);
}

static void run_all(void *(*task)(void *))
{
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, task, &workers[i]), 0);
}

static void await_all(uint64_t start_ms)
{
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	report(start_ms);
}

/* On all connections at a time: what depends on the moment is seen sooner. */
static void replay_file(const char *path)
{
	uint64_t start_ms = monotonic_ms();
	int error = stream_load(&workers[0].stream, path);

	if (error)
		fail_msg("%s: %s", path, strerror(-error));
	for (int i = 1; i < WORKERS; i++)
		workers[i].stream = workers[0].stream;
	run_all(replay);
	await_all(start_ms);
}

static void run_streams(void)
{
	uint64_t start_ms = monotonic_ms(), next_report_ms = start_ms + REPORT_MS;

	end_ms = start_ms + options->seconds * 1000ull;
	next_number = options->first;
	run_all(work);
	while (goes_on(__atomic_load_n(&next_number, __ATOMIC_SEQ_CST))) {
		breathe();
		if (monotonic_ms() < next_report_ms)
			continue;
		report(start_ms);
		next_report_ms += REPORT_MS;
	}
	await_all(start_ms);
}

void fuzz_run(const struct fuzz_options *given, struct fuzz_result *ret_result)
{
	options = given;
	result = (struct fuzz_result){ 0 };
	usage_open();
	make_workers();
	if (options->replay)
		replay_file(options->replay);
	else
		run_streams();
	free(workers);
	usage_close();
	*ret_result = result;
}

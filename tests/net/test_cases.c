// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The contract's cases, one by one, through a real gate: whatever a client sends, and however it is
 * cut into segments, comes to what the table says, and the application executes what was counted.
 *
 *	test_cases [ROW [PROMISE]]	only rows, and promises, whose name holds the text
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases_made.h"
#include "flight.h"

#include "cases_authorization.h"
#include "cases_chunked.h"
#include "cases_connections.h"
#include "cases_framing.h"
#include "cases_lines.h"
#include "cases_request_line.h"

#define PATIENCE_START_MS 5000
#define UNGATED_PORT	  8005
#define UNGATED_CUTS	  10 /* of a row */

static const char *row_filter = "", *promise_filter = "";

struct table {
	const char *name;
	const struct row *rows;
	size_t count;
};

#define TABLE(name, rows)                                                                          \
	{                                                                                          \
		name, rows, ARRAY_SIZE(rows)                                                       \
	}

static const struct table tables[SECTIONS] = {
	[LINES] = TABLE("lines and fields", cases_lines),
	[REQUEST_LINE] = TABLE("the request line", cases_request_line),
	[FRAMING] = TABLE("framing", cases_framing),
	[CHUNKED_BODIES] = TABLE("chunked bodies", cases_chunked),
	[AUTHORIZATION] = TABLE("authorization", cases_authorization),
	[CONNECTIONS] = TABLE("connections", cases_connections),
};

static const struct mode modes[] = {
	{ "whole", WHOLE, ACCEPTED, false },
	{ "whole, before it is accepted", WHOLE, NOT_ACCEPTED, false },
	{ "whole, behind an answer", WHOLE, ANSWERED, false },
	{ "whole with FIN", WHOLE, ACCEPTED, true },
	{ "whole with FIN, before it is accepted", WHOLE, NOT_ACCEPTED, true },
	{ "cut at every offset", CUT, ACCEPTED, false },
	{ "cut at every offset, once before it is accepted", CUT, NOT_ACCEPTED, false },
	{ "cut at every offset, with FIN, behind an answer", CUT, ANSWERED, true },
	{ "byte by byte", BYTES, ACCEPTED, false },
	{ "byte by byte, with FIN, the first before it is accepted", BYTES, NOT_ACCEPTED, true },
	{ "in random pieces, behind an answer", PIECES, ANSWERED, false },
};

/* One promise: a section in a mode. */
struct subject {
	enum section section;
	const struct mode *mode;
};

#define PROMISES_MAX ((SECTIONS + 1) * ARRAY_SIZE(modes))

static struct promise promises[PROMISES_MAX];
static struct subject subjects[PROMISES_MAX];
static char names[PROMISES_MAX][128];
static size_t promise_count;
static struct rows sections[SECTIONS];
static size_t rows_flown, cases_flown;

static void make_section(enum section section)
{
	const struct table *table = &tables[section];
	struct rows all = { 0 };

	for (size_t i = 0; i < table->count; i++)
		rows_add(&all, &table->rows[i]);
	rows_add_corpus(&all, section);
	rows_add_long(&all, section);
	for (size_t i = 0; i < all.count; i++)
		if (strstr(all.rows[i].name, row_filter))
			rows_add(&sections[section], &all.rows[i]);
	rows_free(&all);
	rows_flown += sections[section].count;
}

/* Map the file in which an app_log in this folder notes what it sees. */
static struct seen_table *map_table(const char *folder)
{
	struct seen_table *table;
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/" SEEN_FILE, folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_true(table != MAP_FAILED);
	return table;
}

/* Start app_log in the place of an application, at this port. */
static struct seen_table *start_log(struct application *application, uint16_t port, char *option)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_START_MS;
	char program[320], number[8], log[160];
	struct client client;

	process_stop(application->pid, SIGTERM);
	snprintf(program, sizeof(program), "%s/build/test/tests/net/app_log", stage.root);
	snprintf(number, sizeof(number), "%u", port);
	snprintf(log, sizeof(log), "%s/output.log", application->folder);
	application->pid =
		process_start(log, (char *[]){ program, number, application->folder,
					       getenv("BLOCK") ? NULL : "--poll", NULL });
	while (client_connect(&client, port)) {
		if (monotonic_ms() > end_ms) {
			show_file(log);
			fail_msg("app_log did not start");
		}
		breathe();
	}
	client_close(&client);
	return map_table(application->folder);
}

/*
 * Have each segment acknowledged at once: an acknowledgement tells that a segment was received, and
 * one that is held back for 40 ms would make byte by byte slow.
 */
static void acknowledge_at_once(void)
{
	pid_t pid = process_start(NULL, (char *[]){ "ip", "route", "replace", "local",
						    "127.0.0.0/8", "dev", "lo", "table", "local",
						    "src", "127.0.0.1", "quickack", "1", NULL });

	assert_int_equal(process_stop(pid, 0), 0);
}

/* app_log as it waits for bytes in recv(2), and in poll(2); and as the latter without a gate. */
static struct destination blocking, polling, ungated = { .ungated = true };

static void start_destinations(void)
{
	if (blocking.table)
		return;
	blocking.port = applications[THREADED].port;
	blocking.table = start_log(&applications[THREADED], blocking.port, NULL);
	polling.port = applications[THREADED_POLL].port;
	polling.table = start_log(&applications[THREADED_POLL], polling.port, "--poll");
	acknowledge_at_once();
}

static void fly_rows(const struct destination *destination, const struct rows *rows,
		     const struct mode *mode, struct outcome *outcome)
{
	uint64_t start_ms = monotonic_ms();
	struct outcome one = { 0 };

	fly(destination, rows->rows, rows->count, mode, &one);
	printf("# %zu rows, %zu cases, %zu failed, %.1f s\n", rows->count, one.cases, one.failed,
	       (monotonic_ms() - start_ms) / 1e3);
	outcome->cases += one.cases;
	outcome->failed += one.failed;
}

static void expect_none_failed(const struct outcome *outcome)
{
	cases_flown += outcome->cases;
	assert_int_equal(outcome->failed, 0);
}

/* A section in a mode, through the gate. What takes long is asked of one application only. */
static void check_section(void **state)
{
	const struct subject *subject = &subjects[(const struct promise *)*state - promises];
	const struct rows *rows = &sections[subject->section];
	const struct mode *mode = subject->mode;
	struct outcome outcome = { 0 };

	start_destinations();
	if (mode->cutting != CUT || mode->moment == NOT_ACCEPTED)
		fly_rows(&blocking, rows, mode, &outcome);
	if (mode->cutting != CUT || mode->moment != NOT_ACCEPTED)
		fly_rows(&polling, rows, mode, &outcome);
	expect_none_failed(&outcome);
}

/* Whether app_log alone would do what the row says. */
static bool needs_no_gate(const struct row *row)
{
	return !strchr(row->answers, '4') && !strchr(row->answers, '5') && row->after != ENDS &&
	       row->after != BREAKS;
}

/* What fails through the gate is the gate's fault: without it, good rows are answered as they say. */
static void check_ungated(void **state)
{
	const struct subject *subject = &subjects[(const struct promise *)*state - promises];
	struct outcome outcome = { 0 };
	struct rows good = { 0 };

	start_destinations();
	if (!ungated.table)
		ungated.table = start_log(&applications[NODE], UNGATED_PORT, "--poll");
	ungated.port = UNGATED_PORT;
	ungated.sample = UNGATED_CUTS;
	for (int section = 0; section < SECTIONS; section++)
		for (size_t i = 0; i < sections[section].count; i++)
			if (needs_no_gate(&sections[section].rows[i]))
				rows_add(&good, &sections[section].rows[i]);
	fly_rows(&ungated, &good, subject->mode, &outcome);
	rows_free(&good);
	expect_none_failed(&outcome);
}

static void promise(const char *what, enum section section, const struct mode *mode,
		    void (*check)(void **state))
{
	snprintf(names[promise_count], sizeof(*names), "%s: %s", what, mode->name);
	if (!strstr(names[promise_count], promise_filter))
		return;
	subjects[promise_count] = (struct subject){ section, mode };
	promises[promise_count] = (struct promise){ names[promise_count], check, ONCE };
	promise_count++;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		row_filter = argv[1];
	if (argc > 2)
		promise_filter = argv[2];
	for (int section = 0; section < SECTIONS; section++) {
		make_section(section);
		for (size_t i = 0; i < ARRAY_SIZE(modes) && sections[section].count; i++)
			promise(tables[section].name, section, &modes[i], check_section);
	}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		promise("without a gate", 0, &modes[i], check_ungated);
	return run_promises(promises, promise_count, WITH_DAEMON);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of cases as promises: every section in every mode. */
#include "cases_run.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"

#define START_MS     10000
#define UNGATED_PORT 8005
#define UNGATED_CUTS 10 /* of a row */
#define GATED_CUTS   16 /* all of them with SLUICE_CASES=all in the environment */
#define PROMISES_MAX 64

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

/* A section, and its promises. */
struct subject {
	struct rows *rows;
	const struct mode *mode;
};

static struct rows sections[SECTIONS];
static struct rows good; /* rows of all sections that app_log alone does as well */
static struct promise promises[PROMISES_MAX];
static struct subject subjects[PROMISES_MAX];
static size_t promise_count, rows_sent, cases_sent;
static const char *row_filter = "", *promise_filter = "";

/* app_log as it waits for bytes in recv(2), and in poll(2); and as the latter without a gate. */
static struct destination blocking, polling, ungated = { .ungated = true };

/* --- applications ----------------------------------------------------------------------------------- */

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
static void start_log(struct destination *destination, struct application *application,
		      uint16_t port, char *option)
{
	uint64_t end_ms = monotonic_ms() + START_MS;
	char program[320], number[8], log[160];
	struct client client;

	process_stop(application->pid, SIGTERM);
	snprintf(program, sizeof(program), "%s/build/test/tests/net/app_log", stage.root);
	snprintf(number, sizeof(number), "%u", port);
	snprintf(log, sizeof(log), "%s/output.log", application->folder);
	application->pid = process_start(log, (char *[]){ program, number, application->folder,
							  option, NULL });
	while (client_connect(&client, port)) {
		if (monotonic_ms() > end_ms) {
			show_file(log);
			fail_msg("app_log did not start");
		}
		breathe();
	}
	client_close(&client);
	destination->port = port;
	destination->table = map_table(application->folder);
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

static void start_destinations(void)
{
	if (blocking.table)
		return;
	acknowledge_at_once();
	start_log(&blocking, &applications[THREADED], applications[THREADED].port, NULL);
	start_log(&polling, &applications[THREADED_POLL], applications[THREADED_POLL].port,
		  "--poll");
}

/* --- checks ------------------------------------------------------------------------------------------ */

static const struct subject *subject_of(void **state)
{
	return &subjects[(const struct promise *)*state - promises];
}

static void expect_cases(const struct destination *destination, const struct rows *rows,
			 const struct mode *mode)
{
	uint64_t start_ms = monotonic_ms();
	struct outcome outcome = { 0 };

	run_cases(destination, rows->rows, rows->count, mode, &outcome);
	cases_sent += outcome.cases;
	printf("# %zu rows, %zu cases, %zu failed, %.1f s\n", rows->count, outcome.cases,
	       outcome.failed, (monotonic_ms() - start_ms) / 1e3);
	assert_int_equal(outcome.failed, 0);
}

/* A section in a mode, through the gate. What takes long is asked of one application only. */
static void check_section(void **state)
{
	const struct subject *subject = subject_of(state);
	const struct mode *mode = subject->mode;

	start_destinations();
	blocking.sample = polling.sample = getenv("SLUICE_CASES") ? 0 : GATED_CUTS;
	if (mode->cutting != CUT || mode->moment == NOT_ACCEPTED)
		expect_cases(&blocking, subject->rows, mode);
	if (mode->cutting != CUT || mode->moment != NOT_ACCEPTED)
		expect_cases(&polling, subject->rows, mode);
}

static void check_ungated(void **state)
{
	start_destinations();
	if (!ungated.table)
		start_log(&ungated, &applications[NGINX], UNGATED_PORT, "--poll");
	ungated.sample = UNGATED_CUTS;
	expect_cases(&ungated, &good, subject_of(state)->mode);
}

/* The modes with FIN do what they say: a client that sends data and ends sends one segment. */
static void check_fin(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address), size;
	struct tcp_info before, after;
	struct client client;
	int yes = 1;

	(void)state;
	acknowledge_at_once();
	assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(client_connect(&client, ntohs(address.sin_port)), 0);
	setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	size = sizeof(before);
	assert_int_equal(getsockopt(client.fd, IPPROTO_TCP, TCP_INFO, &before, &size), 0);
	exchange_send_last(client.fd, "hello", 5);
	size = sizeof(after);
	assert_int_equal(getsockopt(client.fd, IPPROTO_TCP, TCP_INFO, &after, &size), 0);
	assert_int_equal(after.tcpi_segs_out - before.tcpi_segs_out, 1);
	client_close(&client);
	close(listener);
}

static void check_total(void **state)
{
	(void)state;
	printf("# %zu rows x cuts = %zu cases\n", rows_sent, cases_sent);
	assert_true(cases_sent >= rows_sent || *promise_filter);
}

/* --- the table --------------------------------------------------------------------------------------- */

/* Whether app_log alone would do what the row says. */
static bool needs_no_gate(const struct row *row)
{
	return !strchr(row->answers, '4') && !strchr(row->answers, '5') && !ends(row->after);
}

static void make_section(const struct table *table)
{
	struct rows all = { 0 };

	for (size_t i = 0; i < table->count; i++)
		rows_add(&all, &table->rows[i]);
	rows_add_corpus(&all, table->section);
	rows_add_long(&all, table->section);
	for (size_t i = 0; i < all.count; i++) {
		if (!strstr(all.rows[i].name, row_filter))
			continue;
		rows_add(&sections[table->section], &all.rows[i]);
		if (needs_no_gate(&all.rows[i]))
			rows_add(&good, &all.rows[i]);
		rows_sent++;
	}
	rows_free(&all);
}

static void promise(const char *what, struct rows *rows, const struct mode *mode,
		    void (*check)(void **state))
{
	static char names[PROMISES_MAX][128];
	char *name = names[promise_count];

	snprintf(name, sizeof(*names), "%s%s%s", what, mode ? ": " : "", mode ? mode->name : "");
	if (!strstr(name, promise_filter) || (rows && !rows->count))
		return;
	assert_true(promise_count < PROMISES_MAX - 1);
	subjects[promise_count] = (struct subject){ rows, mode };
	promises[promise_count++] = (struct promise){ name, check, ONCE };
}

int run_tables(const struct table *tables, size_t count, int argc, char **argv)
{
	if (argc > 1)
		row_filter = argv[1];
	if (argc > 2)
		promise_filter = argv[2];
	promise("a FIN goes out with the last segment", NULL, NULL, check_fin);
	for (size_t i = 0; i < count; i++)
		make_section(&tables[i]);
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < ARRAY_SIZE(modes); n++)
			promise(tables[i].name, &sections[tables[i].section], &modes[n],
				check_section);
	for (size_t n = 0; n < ARRAY_SIZE(modes); n++)
		promise("without a gate", &good, &modes[n], check_ungated);
	promise("all rows were sent", NULL, NULL, check_total);
	return run_promises(promises, promise_count, WITH_DAEMON);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The applications that tests put behind the gate: start, stop, and what they were given. */
#include "harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_client.h"

#define LARGE_SIZE  (1024 * 1024)
#define MEDIUM_SIZE 20480

struct application applications[APPLICATIONS] = {
	[NGINX] = { .name = "nginx", .port = 8001 },
	[THREADED] = { .name = "threaded", .port = 8002 },
	[THREADED_POLL] = { .name = "threaded with poll", .port = 8003 },
	[NODE] = { .name = "node", .port = 8004 },
};

static bool in_path(const char *program)
{
	char *copy = strdup(getenv("PATH") ? getenv("PATH") : "/usr/sbin:/usr/bin");
	bool found = false;
	char path[512];

	for (char *next = copy, *folder; copy && (folder = strsep(&next, ":"));) {
		snprintf(path, sizeof(path), "%s/%s", folder, program);
		found = found || !access(path, X_OK);
	}
	free(copy);
	return found;
}

void find_applications(void)
{
	if (!in_path("nginx"))
		applications[NGINX].missing = "nginx is not installed";
	if (!in_path("node"))
		applications[NODE].missing = "node is not installed";
}

/* A file of zeros for nginx to serve. */
static void make_content(const struct application *application, const char *name, size_t size)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/content/%s", application->folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		putc(0, file);
	fclose(file);
}

/* The folders it writes to and the files it serves. */
static void make_folders(struct application *application)
{
	char path[160];

	snprintf(application->folder, sizeof(application->folder), "%s/app-%u", stage.folder,
		 application->port);
	mkdir(application->folder, 0755);
	snprintf(path, sizeof(path), "%s/upload", application->folder);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/content", application->folder);
	mkdir(path, 0755);
	/* nginx writes what it is sent below the folder it serves. */
	snprintf(path, sizeof(path), "%s/content/upload", application->folder);
	if (symlink("../upload", path))
		return; /* made by an earlier start */
	make_content(application, "large", LARGE_SIZE);
	make_content(application, "medium", MEDIUM_SIZE);
	make_content(application, "none", 0);
}

static pid_t run(const struct application *application)
{
	char program[320], configuration[320], port[8], log[160];

	snprintf(port, sizeof(port), "%u", application->port);
	snprintf(log, sizeof(log), "%s/output.log", application->folder);
	if (application == &applications[NGINX]) {
		snprintf(configuration, sizeof(configuration), "%s/tests/net/nginx.conf",
			 stage.root);
		return process_start(log,
				     (char *[]){ "nginx", "-p", (char *)application->folder, "-e",
						 "error.log", "-c", configuration, NULL });
	}
	if (application == &applications[NODE]) {
		snprintf(program, sizeof(program), "%s/tests/net/app.js", stage.root);
		return process_start(log, (char *[]){ "node", program, port,
						      (char *)application->folder, NULL });
	}
	snprintf(program, sizeof(program), "%s/build/test/tests/net/app_threaded", stage.root);
	return process_start(log, (char *[]){ program, port, (char *)application->folder,
					      application == &applications[THREADED_POLL] ? "--poll"
											  : NULL,
					      NULL });
}

void start_application(struct application *application)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	struct client client;
	char log[160];

	if (application->missing)
		return;
	make_folders(application);
	application->pid = run(application);
	while (client_connect(&client, application->port)) {
		if (!process_runs(application->pid) || monotonic_ms() > end_ms) {
			snprintf(log, sizeof(log), "%s/output.log", application->folder);
			show_file(log);
			fail_msg("%s did not start", application->name);
		}
		breathe();
	}
	client_close(&client);
}

void start_applications(void)
{
	for (int i = 0; i < APPLICATIONS; i++)
		start_application(&applications[i]);
}

void stop_applications(void)
{
	for (int i = 0; i < APPLICATIONS; i++) {
		if (!applications[i].pid)
			continue;
		process_stop(applications[i].pid, SIGTERM);
		applications[i].pid = 0;
	}
}

size_t requests_seen(const struct application *application, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/access.log", application->folder);
	return count_lines(path, text);
}

size_t eagain_seen(const struct application *application)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/error.log", application->folder);
	return count_lines(path, "recv: Resource temporarily unavailable");
}

size_t wait_seen(const struct application *application, const char *text, size_t count)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (requests_seen(application, text) < count && monotonic_ms() < end_ms)
		breathe();
	return requests_seen(application, text);
}

void expect_seen(const struct application *application, const char *text, size_t count)
{
	assert_int_equal(wait_seen(application, text, count), count);
}

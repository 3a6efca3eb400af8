// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The servers behind the gate, and what they say they executed. Each appends lines to its
 * executed.log:
 *
 *	R PORT IDENTITY TARGET	a request, at its head: the client's port, the X-Key-Id, "-" without one
 *	S PORT			a key's text was in that head
 *	E PORT			the connection is over
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/http_client.h"

#define FIRST_PORT 8101
#define PORTS	   65536
#define LOG_ROOM   65536

struct record {
	struct executed executed;
	char own_id[32], other_id[32];
};

struct server_state {
	pid_t pid;
	int log;
	char folder[96];
	char bytes[LOG_ROOM];
	size_t used;
	struct record *records; /* by the client's port */
};

static struct server_state servers[SERVERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t total;

uint16_t server_port(enum server server)
{
	return FIRST_PORT + server;
}

static void take_request(struct record *record, const char *identity, const char *target)
{
	struct executed *executed = &record->executed;
	const char *number = strstr(target, "/r/");

	total++;
	if (executed->count < EXECUTED_KEPT)
		executed->numbers[executed->count] = number ? strtoul(number + 3, NULL, 10) : ~0u;
	executed->count++;
	executed->hidden += strstr(target, "/hidden") != NULL;
	if (!strcmp(identity, record->own_id))
		executed->own++;
	else if (!strcmp(identity, record->other_id))
		executed->other++;
	else
		executed->unidentified++;
}

static void take_line(struct server_state *server, const char *line)
{
	char identity[64] = "", target[600] = "", kind;
	struct record *record;
	unsigned int port;

	if (sscanf(line, "%c %u %63s %599s", &kind, &port, identity, target) < 2 || port >= PORTS)
		return;
	record = &server->records[port];
	if (kind == 'R')
		take_request(record, identity, target);
	else if (kind == 'S')
		record->executed.secret = true;
	else if (kind == 'E')
		record->executed.ended = true;
}

/* Take what has been appended to a log since. */
static void read_log(struct server_state *server)
{
	ssize_t got;

	while ((got = read(server->log, server->bytes + server->used, LOG_ROOM - server->used)) >
	       0) {
		char *line = server->bytes, *end;

		server->used += got;
		while ((end = memchr(line, '\n', server->bytes + server->used - line))) {
			*end = '\0';
			take_line(server, line);
			line = end + 1;
		}
		server->used -= line - server->bytes;
		memmove(server->bytes, line, server->used);
	}
}

void ledger_open(enum server server, uint16_t port, const struct texts *texts)
{
	struct record *record = &servers[server].records[port];

	pthread_mutex_lock(&lock);
	read_log(&servers[server]);
	*record = (struct record){ 0 };
	snprintf(record->own_id, sizeof(record->own_id), "%s", texts->own_id);
	snprintf(record->other_id, sizeof(record->other_id), "%s", texts->other_id);
	pthread_mutex_unlock(&lock);
}

struct executed ledger_close(enum server server, uint16_t port, unsigned int patience_ms)
{
	uint64_t end_ms = monotonic_ms() + patience_ms;
	struct executed executed;

	for (;;) {
		pthread_mutex_lock(&lock);
		read_log(&servers[server]);
		executed = servers[server].records[port].executed;
		pthread_mutex_unlock(&lock);
		if (executed.ended || monotonic_ms() > end_ms)
			return executed;
		breathe();
	}
}

uint64_t ledger_total(void)
{
	return total;
}

/* --- processes ----------------------------------------------------------------------------------- */

const char *server_missing(enum server server)
{
	if (server == NODE_SERVER)
		return applications[NODE].missing;
	if (server == PYTHON_SERVER && system("command -v python3 >/dev/null"))
		return "python3 is not installed";
	return NULL;
}

static pid_t start(enum server server, const char *log)
{
	char *folder = servers[server].folder;
	char program[320], port[8];

	snprintf(port, sizeof(port), "%u", server_port(server));
	if (server == NODE_SERVER || server == PYTHON_SERVER) {
		snprintf(program, sizeof(program), "%s/tests/fuzz_gate/app.%s", stage.root,
			 server == NODE_SERVER ? "js" : "py");
		return process_start(log, (char *[]){ server == NODE_SERVER ? "node" : "python3",
						      program, port, folder, NULL });
	}
	snprintf(program, sizeof(program), "%s/build/test/tests/net/app_lenient", stage.root);
	return process_start(log, (char *[]){ program, port, folder, (char *)server_name(server),
					      NULL });
}

static void start_one(enum server server)
{
	struct server_state *state = &servers[server];
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	struct client client;
	char path[128], log[128];

	snprintf(state->folder, sizeof(state->folder), "%s/fuzz-%s", stage.folder,
		 server_name(server));
	mkdir(state->folder, 0755);
	snprintf(path, sizeof(path), "%s/executed.log", state->folder);
	snprintf(log, sizeof(log), "%s/output.log", state->folder);
	state->log = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	state->records = calloc(PORTS, sizeof(*state->records));
	assert_true(state->log >= 0 && state->records);
	state->pid = start(server, log);
	while (client_connect(&client, server_port(server))) {
		if (!process_runs(state->pid) || monotonic_ms() > end_ms) {
			show_file(log);
			fail_msg("the %s server did not start", server_name(server));
		}
		breathe();
	}
	client_close(&client);
}

void servers_start(void)
{
	for (enum server server = 0; server < SERVERS; server++)
		if (!server_missing(server))
			start_one(server);
}

/* A sanitizer's report ends a server with a status of its own. */
static bool ended_well(int status)
{
	return status >= 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == ADDRESS_SANITIZER_EXIT);
}

void servers_stop(void)
{
	for (enum server server = 0; server < SERVERS; server++) {
		struct server_state *state = &servers[server];
		int status;

		if (!state->pid)
			continue;
		status = process_stop(state->pid, SIGTERM);
		close(state->log);
		free(state->records);
		*state = (struct server_state){ 0 };
		if (!ended_well(status))
			fail_msg("the %s server ended with wait status %#x", server_name(server),
				 status);
	}
}

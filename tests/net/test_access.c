// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who may do what: the daemon as its unit runs it, and the control socket's callers. */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../user/privileges.h"
#include "harness.h"
#include "http_client.h"

#define RELAY	      "sluiced-relay"
#define SERVICE_ID    64321 /* the service's user and group */
#define CALLER_ID     64322 /* somebody else, who may use the socket */
#define OUTSIDER_ID   64323
#define CALLERS_GROUP 64400
#define BECOME	      "--become-service"
#define LACK	      "--lack"

static const struct {
	const char *name;
	uint64_t bit;
} capabilities[] = {
	{ "CAP_BPF", CAPABILITY(CAP_BPF) },
	{ "CAP_PERFMON", CAPABILITY(CAP_PERFMON) },
	{ "CAP_NET_ADMIN", CAPABILITY(CAP_NET_ADMIN) },
	{ "CAP_NET_RAW", CAPABILITY(CAP_NET_RAW) },
};

/* --- the unit, and the daemon as it runs it ---------------------------------------------------- */

/* The capabilities that the unit has in lines "NAME=". */
static uint64_t unit_capabilities(const char *name)
{
	char path[sizeof(stage.root) + 32], *text, *line, *word, *next;
	uint64_t bits = 0;

	snprintf(path, sizeof(path), "%s/scripts/sluiced.service", stage.root);
	text = read_file(path, NULL);
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char *words = line + strlen(name), *rest;

		if (strncmp(line, name, strlen(name)))
			continue;
		for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
			uint64_t before = bits;

			for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
				if (!strcmp(word, capabilities[i].name))
					bits |= capabilities[i].bit;
			if (bits == before)
				fail_msg("%s%s is not known here, or there twice", name, word);
		}
	}
	free(text);
	return bits;
}

/* In a process of its own: be what systemd makes of the unit's User= and capabilities, and go on as argv. */
static int become_service(uint64_t kept, char **argv)
{
	char folder[512], name[512];

	snprintf(folder, sizeof(folder), "%s", argv[0]);
	snprintf(name, sizeof(name), "./%s", basename(argv[0]));
	/* The sources may be where only root may go. */
	if (chdir(dirname(folder)))
		return 126;
	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(kept & CAPABILITY(i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return 126;
	if (setgroups(0, NULL) || setresgid(SERVICE_ID, SERVICE_ID, SERVICE_ID) ||
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setresuid(SERVICE_ID, SERVICE_ID, SERVICE_ID))
		return 126;
	if (privileges_limit(kept, 0, folder, sizeof(folder)))
		return 126;
	execv(name, argv);
	return 127;
}

/* In a process of its own: go on as argv, as root without these capabilities. */
static int go_on_without(uint64_t lacking, char **argv)
{
	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (lacking & CAPABILITY(i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return 126;
	execv(argv[0], argv);
	return 127;
}

/* Run it so. Returns its exit status. */
static int run_without(uint64_t lacking, char *const *argv)
{
	static char program[512], number[32];
	char *arguments[32] = { program, LACK, number };
	size_t n = 3;

	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	snprintf(number, sizeof(number), "%llx", (unsigned long long)lacking);
	while (*argv) {
		assert_true(n + 1 < ARRAY_SIZE(arguments));
		arguments[n++] = *argv++;
	}
	return WEXITSTATUS(process_stop(process_start(stage.daemon_log, arguments), 0));
}

/* Give a folder to the service, made where it is not there. */
static void give(const char *path, mode_t mode)
{
	if (mkdir(path, mode))
		assert_int_equal(errno, EEXIST);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(chown(path, SERVICE_ID, SERVICE_ID), 0);
}

/* Root's own daemon, in folders of its own. */
static void as_root(void)
{
	daemon_wrapper = NULL;
	snprintf(stage.state, sizeof(stage.state), "%s/state", stage.folder);
	snprintf(stage.socket, sizeof(stage.socket), "%s/control.sock", stage.folder);
}

/* The service's user, in this test's mount namespace only. */
static void make_user(void)
{
	char path[sizeof(stage.folder) + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/passwd", stage.folder);
	if (!access(path, F_OK))
		return;
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "root:x:0:0::/:/bin/sh\nsluice:x:%d:%d::/:/usr/sbin/nologin\n", SERVICE_ID,
		SERVICE_ID);
	fclose(file);
	assert_int_equal(mount(path, "/etc/passwd", NULL, MS_BIND, NULL), 0);
}

/* The service's, with these capabilities, in what systemd and the unit's ExecStartPre= make for it. */
static void as_service(uint64_t kept)
{
	static char program[512], number[32];
	static char *wrapper[] = { program, BECOME, number, NULL };
	char path[sizeof(stage.folder) + 16];

	snprintf(path, sizeof(path), "%s/bpf", stage.folder);
	assert_int_equal(chmod(path, 0711), 0);
	give(stage.pins, 0700);
	snprintf(stage.state, sizeof(stage.state), "%s/service", stage.folder);
	give(stage.state, 0700);
	snprintf(path, sizeof(path), "%s/run", stage.folder);
	give(path, 0755);
	snprintf(stage.socket, sizeof(stage.socket), "%s/run/control.sock", stage.folder);
	make_user();

	snprintf(number, sizeof(number), "%llx", (unsigned long long)kept);
	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	daemon_wrapper = wrapper;
}

static void start_service(void)
{
	as_service(unit_capabilities("AmbientCapabilities="));
	daemon_start();
}

/* --- what a process may do --------------------------------------------------------------------- */

/* A line of /proc/PID/status, as a number of that base. */
static uint64_t process_number(pid_t pid, const char *name, int base)
{
	char path[64], *text, *place;
	uint64_t number;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	text = read_file(path, NULL);
	place = strstr(text, name);
	assert_non_null(place);
	number = strtoull(place + strlen(name), NULL, base);
	free(text);
	return number;
}

static void expect_capabilities(pid_t pid, uint64_t kept)
{
	static const char *const sets[] = { "\nCapPrm:", "\nCapEff:", "\nCapInh:", "\nCapAmb:" };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		assert_int_equal(process_number(pid, sets[i], 16), kept);
	assert_int_equal(process_number(pid, "\nNoNewPrivs:", 10), 1);
}

/* No core dump, and /proc/PID is root's: what makes it so is that the process is not dumpable. */
static void expect_hidden(pid_t pid)
{
	char path[64], *text;
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	text = read_file(path, NULL);
	assert_non_null(strstr(text, "Max core file size        0                    0 "));
	free(text);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, 0);
}

static void expect_little(uid_t uid)
{
	pid_t relay = process_find(RELAY);

	assert_true(relay > 0);
	assert_int_equal(process_number(daemon_pid, "\nUid:", 10), uid);
	assert_int_equal(process_number(relay, "\nUid:", 10), uid);
	expect_capabilities(daemon_pid, PRIVILEGES_SERVE);
	expect_capabilities(relay, 0);
	expect_hidden(daemon_pid);
	expect_hidden(relay);
}

/* --- promises ---------------------------------------------------------------------------------- */

static void unit_grants_what_is_needed(void **state)
{
	(void)state;
	assert_int_equal(unit_capabilities("AmbientCapabilities="), PRIVILEGES_LOAD);
	assert_int_equal(unit_capabilities("CapabilityBoundingSet="), PRIVILEGES_LOAD);
}

/* A request whose head comes in two parts, which only the relay can put together. */
static void expect_slow_path(const struct key *key)
{
	struct client *client = client_open(applications[THREADED].port);
	struct response response;

	client_printf(client, "GET /slow HTTP/1.1\r\nHost: a\r\nAuthor");
	assert_true(client_sees_silence(client, 50));
	client_printf(client, "ization: Bearer %s\r\n\r\n", key->text);
	assert_int_equal(client_read(client, false, &response), 0);
	expect_admitted(&response, 200);
}

static void expect_gate(const struct key *key)
{
	uint16_t port = applications[THREADED].port;

	assert_int_equal(client_get(client_open(port), "/", key->text), 200);
	assert_int_equal(client_get(client_open(port), "/", NULL), 401);
	expect_slow_path(key);
}

static void expect_owner(const char *path, void *data)
{
	struct stat status;

	(void)data;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, SERVICE_ID);
}

/* Its whole life, up to root's --remove. */
static void lives_as_service(void **state)
{
	struct key first, second;
	pid_t relay;

	(void)state;
	start_service();
	expect_little(SERVICE_ID);
	first = key_limited(0, 0);
	expect_gate(&first);
	relay = process_find(RELAY);
	daemon_stop();
	assert_int_equal(process_find(RELAY), relay);
	expect_gate(&first);
	start_service();
	assert_int_not_equal(process_find(RELAY), relay);
	expect_little(SERVICE_ID);
	second = key_limited(0, 0);
	expect_gate(&first);
	expect_gate(&second);
	key_revoke(&first);
	assert_int_equal(client_get(client_open(applications[THREADED].port), "/", first.text),
			 401);
	daemon_kill();
	start_service();
	expect_gate(&second);
	daemon_stop();
	assert_int_equal(daemon_remove(), 0);
	assert_int_equal(access(stage.pins, F_OK), -1);
	assert_int_equal(process_find(RELAY), 0);
	assert_int_equal(client_get(client_open(applications[THREADED].port), "/", NULL), 200);
	each_file(stage.state, expect_owner, NULL);
}

/* The gate that root has tried goes on, and the service that is to follow says whose it is. */
static void finds_gate_of_root(void **state)
{
	struct key key;
	int status;

	(void)state;
	as_root();
	daemon_start();
	daemon_stop();
	as_service(unit_capabilities("AmbientCapabilities="));
	status = process_stop(process_start(stage.daemon_log, daemon_command(0)), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_int_equal(count_lines(stage.daemon_log, " belongs to root (uid 0), and this daemon "
						       "runs as sluice (uid 64321). It goes on"),
			 1);
	assert_int_equal(count_lines(stage.daemon_log, "As root, run sluiced --remove --pin"), 1);
	assert_int_equal(client_get(client_open(applications[THREADED].port), "/", NULL), 401);
	close_all_clients();
	assert_int_equal(daemon_remove(), 0);
	start_service();
	key = key_limited(0, 0);
	expect_gate(&key);
}

/* What root's --remove saves of the counts is still the service's to read. */
static void goes_on_after_removal(void **state)
{
	struct key key;
	unsigned int minute, day;

	(void)state;
	start_service();
	key = key_limited(0, 0);
	daemon_kill();
	need_window_ms(20000);
	expect_gate(&key);
	assert_int_equal(daemon_remove(), 0);
	start_service();
	key_used(&key, &minute, &day);
	assert_int_equal(day, 2);
	expect_gate(&key);
}

/* In a container, say: root, but without what the task at hand does not take. */
static void needs_no_more(void **state)
{
	char program[sizeof(stage.root) + 32], backup[sizeof(stage.folder) + 16];
	char *const back_up[] = {
		program,    "--state", stage.state, "--config", stage.configuration,
		"--backup", backup,    NULL
	};

	(void)state;
	start_service();
	daemon_stop();
	snprintf(program, sizeof(program), "%s/build/test/sluiced", stage.root);
	snprintf(backup, sizeof(backup), "%s/run/backup", stage.folder);
	assert_int_equal(run_without(PRIVILEGES_LOAD | PRIVILEGES_REMOVE, back_up), 0);
	expect_owner(backup, NULL);
	each_file(backup, expect_owner, NULL);
	assert_int_equal(run_without(PRIVILEGES_REMOVE, daemon_remove_command("0")), 0);
	assert_true(!access(stage.pins, F_OK));
	assert_int_equal(rmdir(stage.pins), 0);
}

static void drops_as_root(void **state)
{
	struct key key;

	(void)state;
	as_root();
	daemon_start();
	expect_little(0);
	key = key_limited(0, 0);
	expect_gate(&key);
	daemon_stop();
	daemon_start();
	expect_little(0);
	expect_gate(&key);
}

static void names_what_lacks(void **state)
{
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
		as_service(PRIVILEGES_LOAD & ~capabilities[i].bit);
		pid = process_start(stage.daemon_log, daemon_command(0));
		assert_int_equal(WEXITSTATUS(process_stop(pid, 0)), EXIT_FAILURE);
		assert_int_equal(count_lines(stage.daemon_log, capabilities[i].name), 1);
	}
	assert_int_equal(process_find(RELAY), 0);
}

/* --- callers of the control socket --------------------------------------------------------------- */

/*
 * Make a call as another user. Returns its status, or a negative errno where the socket cannot be
 * used; ret_pid is who called.
 */
static int call_as(uid_t uid, gid_t group, const char *head, pid_t *ret_pid)
{
	int *status = mmap(NULL, sizeof(*status), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct client client;
	struct response response;
	int result;
	pid_t pid;

	assert_true(status != MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		*status = -EPERM;
		if (setgroups(1, &group) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(1);
		*status = client_connect_unix(&client, stage.socket);
		if (!*status)
			*status = client_send(&client, head, strlen(head));
		if (!*status)
			*status = client_read(&client, false, &response);
		if (!*status)
			*status = response.status;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (ret_pid)
		*ret_pid = pid;
	result = *status;
	munmap(status, sizeof(*status));
	return result;
}

static const char *request(const char *method, const char *target, const char *body)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		 method, target, strlen(body), body);
	return text;
}

static void expect_socket(gid_t group, mode_t mode)
{
	struct stat status;

	assert_int_equal(stat(stage.socket, &status), 0);
	assert_int_equal(status.st_gid, group);
	assert_int_equal(status.st_mode, S_IFSOCK | mode);
}

/* Give the socket to the callers' group, with that mode. Returns what a caller of that group is told. */
static int call_as_group(const char *mode_line, mode_t mode, const char *ask)
{
	char configuration[96];

	as_root();
	snprintf(configuration, sizeof(configuration), "[sluice]\nsocket_group = %d\n%s",
		 CALLERS_GROUP, mode_line);
	daemon_configure(configuration);
	daemon_start();
	expect_socket(CALLERS_GROUP, mode);
	return call_as(CALLER_ID, CALLERS_GROUP, ask, NULL);
}

static void group_is_let_in(void **state)
{
	const char *ask = request("GET", "/v1/status", "");

	(void)state;
	assert_int_equal(call_as_group("", 0660, ask), 200);
	assert_int_equal(call_as(OUTSIDER_ID, OUTSIDER_ID, ask, NULL), -EACCES);
}

static void group_is_kept_out(void **state)
{
	const char *ask = request("GET", "/v1/status", "");

	(void)state;
	assert_int_equal(call_as_group("socket_mode = 0600\n", 0600, ask), -EACCES);
	assert_int_equal(call_as(0, 0, ask, NULL), 200);
}

/* Not in that group, and without the capability to give a file away. */
static void foreign_group(void **state)
{
	pid_t pid;

	(void)state;
	daemon_configure("[sluice]\nsocket_group = 64400\n");
	as_service(PRIVILEGES_LOAD);
	pid = process_start(stage.daemon_log, daemon_command(0));
	assert_int_equal(WEXITSTATUS(process_stop(pid, 0)), EXIT_FAILURE);
	assert_int_equal(count_lines(stage.daemon_log, "cannot be given to group 64400"), 1);
	assert_int_equal(access(stage.socket, F_OK), -1);
}

/* The line of the log that names the caller and holds the text. */
static void expect_logged(pid_t pid, const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "uid %d, pid %d %s", CALLER_ID, pid, text);
	assert_int_equal(count_lines(stage.daemon_log, line), 1);
}

static int call_as_caller(const char *method, const char *target, const char *body, pid_t *ret_pid)
{
	return call_as(CALLER_ID, CALLERS_GROUP, request(method, target, body), ret_pid);
}

static void changes_are_logged(void **state)
{
	char target[64], text[128];
	struct key key;
	pid_t pid;

	(void)state;
	as_root();
	daemon_configure("[sluice]\nsocket_group = 64400\n");
	daemon_start();
	assert_int_equal(call_as_caller("POST", "/v1/keys",
					"{\"account\":\"theirs\",\"label\":\"l\"}", &pid),
			 201);
	expect_logged(pid, "created key_");
	key = key_limited(0, 0);
	snprintf(target, sizeof(target), "/v1/keys/%s", key.id);
	assert_int_equal(call_as_caller("PATCH", target, "{\"perMinute\":7}", &pid), 200);
	snprintf(text, sizeof(text), "edited %s of account %s: label", key.id, key.account);
	expect_logged(pid, text);
	assert_int_equal(call_as_caller("DELETE", target, "", &pid), 200);
	snprintf(text, sizeof(text), "revoked %s of account %s", key.id, key.account);
	expect_logged(pid, text);
}

static void refused_changes_are_logged(void **state)
{
	char text[128];
	struct key key;
	pid_t pid;

	(void)state;
	as_root();
	daemon_configure("[sluice]\nsocket_group = 64400\n");
	daemon_start();
	assert_int_equal(call_as_caller("POST", "/v1/keys", "{\"account\":\"a b\"}", &pid), 400);
	expect_logged(pid, "was refused POST /v1/keys: INVALID_ARGUMENT");
	assert_int_equal(call_as_caller("DELETE", "/v1/keys/key_abcdefgh2345", "", &pid), 404);
	expect_logged(pid, "was refused DELETE /v1/keys/key_abcdefgh2345: NOT_FOUND");
	key = key_limited(0, 0);
	key_revoke(&key);
	snprintf(text, sizeof(text), "/v1/keys/%s", key.id);
	assert_int_equal(call_as_caller("PATCH", text, "{\"perMinute\":7}", &pid), 409);
	snprintf(text, sizeof(text), "was refused PATCH /v1/keys/%s: CONFLICT", key.id);
	expect_logged(pid, text);
	/* Questions change nothing. */
	assert_int_equal(call_as_caller("GET", "/v1/keys/key_abcdefgh2345", "", &pid), 404);
	snprintf(text, sizeof(text), "pid %d ", pid);
	assert_int_equal(count_lines(stage.daemon_log, text), 0);
}

/* The command line tool, while it waits for an answer that never comes. */
static void tool_is_hidden(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd called = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
				 .events = POLLIN };
	char program[sizeof(stage.root) + 32];
	char *const command[] = { program, "key", "ls", "--socket", address.sun_path, NULL };
	pid_t tool;

	(void)state;
	as_root();
	snprintf(program, sizeof(program), "%s/build/test/sluice", stage.root);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/silent.sock", stage.folder);
	assert_int_equal(bind(called.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(called.fd, 1), 0);
	tool = process_start(stage.daemon_log, command);
	assert_int_equal(poll(&called, 1, PATIENCE_MS), 1);
	expect_hidden(tool);
	process_stop(tool, SIGKILL);
	close(called.fd);
}

static const struct promise promises[] = {
	{ "the unit grants the capabilities that the daemon asks for, and no others",
	  unit_grants_what_is_needed, ONCE },
	{ "as a user with these the gate goes up, stands, is upgraded and goes down",
	  lives_as_service, ONCE },
	{ "root takes the gate of that user down, and leaves the user's files to the user",
	  goes_on_after_removal, ONCE },
	{ "a gate that root made is not taken over: whose it is and the way out are told",
	  finds_gate_of_root, ONCE },
	{ "root backs up and removes without the capabilities that this does not take",
	  needs_no_more, ONCE },
	{ "as root the daemon gives up what it does not need, the relay everything", drops_as_root,
	  ONCE },
	{ "a start without one of the capabilities fails and names it", names_what_lacks, ONCE },
	{ "whoever is in the socket's group may use it, and nobody else", group_is_let_in, ONCE },
	{ "with mode 0600 the group may not", group_is_kept_out, ONCE },
	{ "a group that the daemon cannot give the socket to fails its start", foreign_group,
	  ONCE },
	{ "each change is logged with the uid and pid of its caller", changes_are_logged, ONCE },
	{ "so is each change that was refused", refused_changes_are_logged, ONCE },
	{ "the command line tool dumps no core, and only root may look into it", tool_is_hidden,
	  ONCE },
};

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], BECOME))
		return become_service(strtoull(argv[2], NULL, 16), argv + 3);
	if (argc > 3 && !strcmp(argv[1], LACK))
		return go_on_without(strtoull(argv[2], NULL, 16), argv + 3);
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The stage of every test in tests/net: a network namespace, a mount namespace and a cgroup of its
 * own, the applications, the daemon in front of them, and what tests ask of the lot.
 *
 * Functions without a return value fail the running test where they cannot do what they say. All
 * waits are bounded. What a test opens is closed behind it by the harness.
 */
#ifndef SLUICE_TESTS_NET_HARNESS_H
#define SLUICE_TESTS_NET_HARNESS_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <cmocka.h>

#include "../../user/util.h"

#define PATIENCE_MS	       10000 /* longest wait for anything that should happen at once */
#define ADDRESS_SANITIZER_EXIT 99    /* exit status of a program that a sanitizer stopped */

/* --- stage.c: namespaces, cgroup, folders, the table of tests -------------------------------- */

/* Where things are. Folders are on a tmpfs that only this test program sees. */
struct stage {
	char root[256];	 /* the source tree */
	char folder[64]; /* everything below is in it */
	char pins[96];
	char state[96];
	char socket[96];
	char configuration[96];
	char daemon_log[96];
	char cgroup[256];
};
extern struct stage stage;

enum promise_flags {
	ONCE = 0,	      /* *state is its struct promise */
	EACH_APPLICATION = 1, /* run for every application; *state is its struct application */
	OWN_MACHINE = 2,      /* changes the machine; run in a virtual one alone (tests/vm) */
};

/* One row of a test program: the promise, as its name says it, and the check. */
struct promise {
	const char *name;
	void (*check)(void **state);
	enum promise_flags flags;
};

enum stage_flags {
	BARE = 0, /* applications alone; a test that starts the daemon finds it taken down later */
	WITH_DAEMON = 1, /* the daemon runs from before the first test until after the last */
};

/*
 * The main of a test program: build the stage, run the promises on it, take it down. Returns the
 * exit status. Nothing of it is left when this returns, whatever the tests did.
 */
int run_promises(const struct promise *promises, size_t count, enum stage_flags flags);

/* --- process.c: child processes, files, time --------------------------------------------------- */

/*
 * Start argv[0] with its output appended to the file log (NULL: this program's own). It dies with
 * the test program. Returns its pid.
 */
pid_t process_start(const char *log, char *const argv[]);

/*
 * Send a signal and wait for the end, at most PATIENCE_MS, then kill. Returns the status as of
 * waitpid(2), or -ETIMEDOUT where it had to be killed.
 */
int process_stop(pid_t pid, int signal);

/* True while the process has not ended; a child that ended is reaped. */
bool process_runs(pid_t pid);

/* A process of that name (as in /proc/PID/comm) in the stage's cgroup; 0: there is none. */
pid_t process_find(const char *name);

/* Voluntary context switches of a process, its children and all their threads; without the children. */
uint64_t process_wakeups(pid_t pid);
uint64_t process_own_wakeups(pid_t pid);

/* Those of a process and its children, once they have nothing left to do. */
uint64_t process_settled_wakeups(pid_t pid);

/* Print the file as comments of the test protocol, its last lines only where it is long. */
void show_file(const char *path);

/* Number of lines in a file that hold text; every line where text is "". No file: 0. */
size_t count_lines(const char *path, const char *text);

/* Read a whole file into memory for the caller to free; fails the test where it cannot. */
char *read_file(const char *path, size_t *ret_length);

/* True where size bytes at data hold the text. */
bool holds(const void *data, size_t size, const char *text);

/* Call visit for every regular file under the folder. */
void each_file(const char *folder, void (*visit)(const char *path, void *data), void *data);

/* Sleep until this millisecond since the epoch (CLOCK_REALTIME). */
void sleep_until_ms(uint64_t instant_ms);

/*
 * True where the environment says TESTS_FULL=1: tests that take long by their nature run at the size
 * that the contract names, otherwise smaller.
 */
bool full_run(void);

/* True in a virtual machine of the tests' own (tests/vm). Its processors are emulated, and slow. */
bool emulated(void);

/* Whether the running kernel is of that version or newer. */
bool kernel_is(unsigned int major, unsigned int minor);

/* Sleep a moment between two looks at a condition. */
void breathe(void);

/*
 * Return with at least ms left of the minute and of the day, which a test about limits needs to
 * stay within one window. Waits for the next minute where too little is left.
 */
void need_window_ms(uint64_t ms);

/* --- apps.c: the applications -------------------------------------------------------------------- */

struct application {
	const char *name;
	uint16_t port;
	const char *missing; /* why it cannot run here; NULL: it runs */
	pid_t pid;
	char folder[96]; /* its logs and uploads */
};

enum { NGINX, THREADED, THREADED_POLL, NODE, APPLICATIONS };
extern struct application applications[APPLICATIONS];

/* Find out which applications are installed; sets .missing. */
void find_applications(void);

/* Start and stop one or all. An application that is missing is left out. */
void start_application(struct application *application);
void start_applications(void);
void stop_applications(void);

/* Lines of the application's access log that hold text: requests it was given. */
size_t requests_seen(const struct application *application, const char *text);

/*
 * Times that the threaded application's blocking recv() was told EAGAIN so far, for which it ends the
 * connection: a limit of the kernel's (README, Limits) that large answers come upon once in some thousand.
 */
size_t eagain_seen(const struct application *application);

/* Wait until it has seen that many, at most PATIENCE_MS. Returns how many it has seen. */
size_t wait_seen(const struct application *application, const char *text, size_t count);

/* Likewise, and check that there are so many, and no more. */
void expect_seen(const struct application *application, const char *text, size_t count);

/* --- daemon.c: the daemon and its control API ---------------------------------------------------- */

struct key {
	char id[32];
	char text[80];
	char account[40];
};

/* Zero stands for the default. account NULL: a new one. */
struct key_options {
	const char *account;
	unsigned int per_minute;
	unsigned int per_day;
	uint64_t expires_ms;
};

extern pid_t daemon_pid; /* 0: not running */

/* Which build of the daemon daemon_start() runs; the sanitized one unless told. */
extern bool daemon_release;

/* What starts it, a program and its arguments before the daemon's own, or NULL: nothing. */
extern char *const *daemon_wrapper;

/* Ports it protects beside the applications', from its next start; 0 ends them. */
#define MORE_PORTS 16
extern uint16_t daemon_more_ports[MORE_PORTS + 1];

/* Arguments of the daemon for process_start(): for one port, or 0: for all. */
char *const *daemon_command(uint16_t port);

/* Whether the file alone names the ports, rather than the command line; and where all is. */
extern bool daemon_ports_in_file, daemon_places_in_file;

/* What the daemon's configuration file says, for the next start or reload in this test. */
void daemon_configure(const char *text);

/* Start it and wait until it answers. Returns the milliseconds that took. */
uint64_t daemon_start(void);

/* Stop it with SIGTERM and check that it ended well, sanitizers included. */
void daemon_stop(void);

/* SIGKILL, and reaped. */
void daemon_kill(void);

/*
 * Run "sluiced --remove", which resets open connections at once: kernel side down, no pins left.
 * Returns its exit status.
 */
int daemon_remove(void);

/* Arguments of "sluiced --remove --drain seconds" for process_start(); NULL: as long as by itself. */
char *const *daemon_remove_command(const char *seconds);

/* Start it, to let connections end within so many seconds; NULL: as long as it does by itself. */
pid_t daemon_begin_remove(const char *seconds);

/* One call of the control API; body is JSON or NULL. Returns the status and the body's text. */
int api(const char *method, const char *target, const char *body, char *ret_text, size_t size);

/* Likewise, where the daemon may be gone: a negative errno, and no failed test. */
int api_try(const char *method, const char *target, const char *body, char *ret_text, size_t size);

struct key key_create(const struct key_options *options);
struct key key_limited(unsigned int per_minute, unsigned int per_day);
void key_revoke(const struct key *key);
void key_used(const struct key *key, unsigned int *ret_minute, unsigned int *ret_day);

/* A number in the status, its place named like "connections.open". */
int64_t status_number(const char *place);

/* Wait until no connection has a record any more. */
void expect_no_connections(void);

/* A key of the right shape that was never issued. */
const char *unknown_key(void);

/* --- usage.c: what the gate counted ------------------------------------------------------------- */

/* Open the gate's maps, behind daemon_start(). */
void usage_open(void);
void usage_close(void);

/* Where a key's usage lies; fails the test where there is no such key. */
uint32_t usage_slot(const struct key *key);

/* Requests the gate admitted for it so far; those that its limits refused. */
uint64_t usage_admitted(uint32_t slot);
uint64_t usage_refused(uint32_t slot);

#endif

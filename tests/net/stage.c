// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Namespaces, cgroup, folders, and the table of tests.
 *
 * Two processes: the outer one makes the cgroup and the folder, waits, and takes down whatever is
 * left, also when a test crashed or the runner's time is up; the inner one enters the namespaces
 * and runs the tests. What the inner one mounts and pins goes with its mount namespace.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <mntent.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_client.h"
#include "traffic.h"

struct stage stage;

static enum stage_flags stage_flags;

/* For the time before the first test, where there is no test to fail. */
static void __attribute__((noreturn)) give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up(path);
	close(fd);
}

/* The source tree, from where the test program lies in it: build/test/tests/net/test_x. */
static void find_root(void)
{
	char path[sizeof(stage.root)] = "";
	char *root = path;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		give_up("/proc/self/exe");
	for (int i = 0; i < 5; i++)
		root = dirname(root);
	snprintf(stage.root, sizeof(stage.root), "%s", root);
}

static void make_cgroup(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;

	while (mounts && (entry = getmntent(mounts)) && !stage.cgroup[0])
		if (!strcmp(entry->mnt_type, "cgroup2"))
			snprintf(stage.cgroup, sizeof(stage.cgroup), "%s/sluice-test.%d",
				 entry->mnt_dir, getpid());
	if (mounts)
		endmntent(mounts);
	if (!stage.cgroup[0]) {
		errno = ENOENT;
		give_up("no cgroup-v2 file system is mounted");
	}
	if (mkdir(stage.cgroup, 0755))
		give_up(stage.cgroup);
}

/* Kill whatever is still in the cgroup, wait until it is empty, remove it and the folder. */
static void clear_away(void)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	char path[sizeof(stage.cgroup) + 16];

	snprintf(path, sizeof(path), "%s/cgroup.kill", stage.cgroup);
	write_file(path, "1");
	while (rmdir(stage.cgroup) && errno == EBUSY && monotonic_ms() < end_ms)
		breathe();
	if (!access(stage.cgroup, F_OK))
		printf("not ok - nothing is left of the test's cgroup %s\n", stage.cgroup);
	if (rmdir(stage.folder))
		printf("not ok - nothing is left in the test's folder %s\n", stage.folder);
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		give_up("lo");
	close(fd);
	/* Room for tests that open some ten thousand connections one after the other. */
	write_file("/proc/sys/net/ipv4/ip_local_port_range", "15000 65000");
	/* As Linux's own, cubic, and allowed everywhere; a machine's may give connections more memory to send. */
	write_file("/proc/sys/net/ipv4/tcp_congestion_control", "reno");
}

static void enter_namespaces(void)
{
	char path[sizeof(stage.cgroup) + 16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", stage.cgroup);
	write_file(path, "0");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		give_up("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sluice-test", stage.folder, "tmpfs", 0, "mode=0755"))
		give_up(stage.folder);
	snprintf(stage.pins, sizeof(stage.pins), "%s/bpf/sluice", stage.folder);
	snprintf(stage.state, sizeof(stage.state), "%s/state", stage.folder);
	snprintf(stage.socket, sizeof(stage.socket), "%s/control.sock", stage.folder);
	snprintf(stage.configuration, sizeof(stage.configuration), "%s/sluice.conf", stage.folder);
	snprintf(stage.daemon_log, sizeof(stage.daemon_log), "%s/sluiced.log", stage.folder);
	snprintf(path, sizeof(path), "%s/bpf", stage.folder);
	if (mkdir(path, 0700) || mount("bpf", path, "bpf", 0, "mode=0700"))
		give_up(path);
	raise_loopback();
}

static int set_up(void **state)
{
	(void)state;
	start_applications();
	daemon_configure("");
	if (stage_flags & WITH_DAEMON)
		daemon_start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (daemon_pid)
		daemon_stop();
	stop_applications();
	return 0;
}

/* The stage as the next test expects it, however this one ended. */
static int after_each(void **state)
{
	(void)state;
	stop_all_hammers();
	traffic_kill();
	close_all_clients();
	client_patience_ms = CLIENT_PATIENCE_MS;
	daemon_ports_in_file = daemon_places_in_file = false;
	if (daemon_pid)
		kill(daemon_pid, SIGCONT);
	daemon_configure("");
	if (stage_flags & WITH_DAEMON) {
		if (!daemon_pid)
			daemon_start();
		return 0;
	}
	if (daemon_pid)
		daemon_kill();
	return daemon_remove();
}

/* Why a promise that changes the machine cannot be tested on this one; NULL: it can. */
static const char *missing_machine(const struct promise *promise)
{
	bool changes = promise->flags & OWN_MACHINE;

	return changes && !emulated() ? "it sets what all of the machine shares: make test-vm"
				      : NULL;
}

static void left_out(void **state)
{
	(void)state;
	skip();
}

/* One test of a promise, maybe about one application. missing: why it cannot run here, or NULL. */
static struct CMUnitTest test_of(const struct promise *promise, struct application *application,
				 const char *missing)
{
	char *name;

	if (asprintf(&name, "%s%s%s%s%s%s", application ? application->name : "",
		     application ? ": " : "", promise->name, missing ? " (" : "",
		     missing ? missing : "", missing ? ")" : "") < 0)
		give_up("asprintf");
	return (struct CMUnitTest){ .name = name,
				    .test_func = missing ? left_out : promise->check,
				    .teardown_func = after_each,
				    .initial_state =
					    application ? (void *)application : (void *)promise };
}

/* The table as cmocka wants it: a promise about each application becomes one test for each. */
static size_t lay_out(const struct promise *promises, size_t count, struct CMUnitTest *tests)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (promises[i].flags & EACH_APPLICATION)
			for (int a = 0; a < APPLICATIONS; a++)
				tests[n++] = test_of(&promises[i], &applications[a],
						     applications[a].missing);
		else
			tests[n++] = test_of(&promises[i], NULL, missing_machine(&promises[i]));
	}
	return n;
}

static int run_inside(const struct promise *promises, size_t count)
{
	struct CMUnitTest tests[512];
	int failed;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	enter_namespaces();
	find_applications();
	assert_true(count <= ARRAY_SIZE(tests) / APPLICATIONS);
	count = lay_out(promises, count, tests);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = _cmocka_run_group_tests("net", tests, count, set_up, tear_down);
	if (failed)
		show_file(stage.daemon_log);
	for (size_t i = 0; i < count; i++)
		free((char *)tests[i].name);
	/* What failed tests did not free is no leak worth a report. */
	if (failed)
		_exit(EXIT_FAILURE);
	return EXIT_SUCCESS;
}

/* Wait for the inner process, or for the word to stop. Returns the exit status to end with. */
static int wait_inside(pid_t inner, const sigset_t *signals)
{
	int status;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal == SIGTERM || signal == SIGINT) {
			printf("# stopped by signal %d\n", signal);
			return EXIT_FAILURE;
		}
		if (waitpid(inner, &status, WNOHANG) == inner)
			break;
	}
	if (WIFSIGNALED(status))
		printf("# the test program ended by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int run_promises(const struct promise *promises, size_t count, enum stage_flags flags)
{
	sigset_t signals;
	pid_t inner;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stage_flags = flags;
	find_root();
	snprintf(stage.folder, sizeof(stage.folder), "/tmp/sluice-test.%d.XXXXXX", getpid());
	if (!mkdtemp(stage.folder))
		give_up(stage.folder);
	make_cgroup();

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	inner = fork();
	if (inner < 0)
		give_up("fork");
	if (!inner) {
		sigprocmask(SIG_UNBLOCK, &signals, NULL);
		exit(run_inside(promises, count));
	}
	status = wait_inside(inner, &signals);
	clear_away();
	return status;
}

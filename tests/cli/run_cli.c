/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Run `sluice` as an operator would. */
#include "run_cli.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "util.h"

#define PATIENCE_MS    10000
#define SANITIZER_EXIT 99

/* The next run is one of somebody without root's access to files. */
static bool stranger;

/* What a child writes to, and where this process reads it. */
struct stream {
	int child;
	int here;
	char *text;
	size_t length;
	size_t room;
};

/* The program is built beside the tests: build/test/sluice. */
static const char *program(void)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - sizeof("/sluice")];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(length > 0);
	self[length] = '\0';
	snprintf(path, sizeof(path), "%s/sluice", dirname(dirname(dirname(self))));
	return path;
}

static void open_pipe(struct stream *stream)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	stream->here = ends[0];
	stream->child = ends[1];
}

static void open_streams(struct stream streams[2], enum output output)
{
	struct winsize window = { .ws_row = 24, .ws_col = 80 };

	memset(streams, 0, 2 * sizeof(*streams));
	if (output == TO_TERMINAL) {
		assert_int_equal(openpty(&streams[0].here, &streams[0].child, NULL, NULL, &window),
				 0);
		streams[1].here = -1;
		streams[1].child = dup(streams[0].child);
		return;
	}
	open_pipe(&streams[1]);
	if (output == TO_FULL_DISK) {
		streams[0].here = -1;
		streams[0].child = open("/dev/full", O_WRONLY);
		assert_true(streams[0].child >= 0);
		return;
	}
	open_pipe(&streams[0]);
}

static pid_t start(const char *socket, const char *const *arguments, const struct stream streams[2])
{
	const char *argv[ARGUMENTS_MAX + 4] = { program() };
	pid_t pid;
	int count = 1;

	if (socket) {
		argv[count++] = "--socket";
		argv[count++] = socket;
	}
	while (*arguments && count < ARGUMENTS_MAX + 3)
		argv[count++] = *arguments++;
	assert_null(*arguments);

	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (stranger)
		prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
	setenv("ASAN_OPTIONS", "detect_leaks=1:exitcode=99", 1);
	setenv("UBSAN_OPTIONS", "print_stacktrace=1:exitcode=99", 1);
	dup2(streams[0].child, STDOUT_FILENO);
	dup2(streams[1].child, STDERR_FILENO);
	for (int i = 0; i < 2; i++) {
		close(streams[i].child);
		if (streams[i].here >= 0)
			close(streams[i].here);
	}
	execv(argv[0], (char **)argv);
	_exit(127);
}

/* Take in what has come. Closes the stream at its end. */
static void take(struct stream *stream)
{
	ssize_t got;

	if (stream->room - stream->length < 65536) {
		stream->room = stream->room * 2 + 65536;
		stream->text = realloc(stream->text, stream->room + 1);
		assert_non_null(stream->text);
	}
	got = read(stream->here, stream->text + stream->length, 65536);
	/* A terminal whose other end is closed says EIO. */
	if (got <= 0) {
		close(stream->here);
		stream->here = -1;
		got = 0;
	}
	stream->length += got;
	stream->text[stream->length] = '\0';
}

/* Read both to their ends. Returns false where that takes too long. */
static bool take_all(struct stream streams[2])
{
	uint64_t end = monotonic_ms() + PATIENCE_MS;

	while (streams[0].here >= 0 || streams[1].here >= 0) {
		struct pollfd ready[2] = { { .fd = streams[0].here, .events = POLLIN },
					   { .fd = streams[1].here, .events = POLLIN } };
		int64_t left = (int64_t)(end - monotonic_ms());

		if (left <= 0 || poll(ready, 2, left) <= 0)
			return false;
		for (int i = 0; i < 2; i++) {
			if (ready[i].fd >= 0 && ready[i].revents)
				take(&streams[i]);
		}
	}
	return true;
}

struct outcome run_cli(const char *socket, const char *const *arguments, enum output output)
{
	struct stream streams[2];
	struct outcome outcome;
	int status;
	pid_t pid;
	bool in_time;

	open_streams(streams, output);
	pid = start(socket, arguments, streams);
	close(streams[0].child);
	close(streams[1].child);
	in_time = take_all(streams);
	if (!in_time)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);

	outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	outcome.out = streams[0].text ? streams[0].text : strdup("");
	outcome.err = streams[1].text ? streams[1].text : strdup("");
	if (!in_time)
		fail_msg("sluice did not end within %d ms", PATIENCE_MS);
	if (outcome.status == SANITIZER_EXIT)
		fail_msg("a sanitizer stopped sluice: %s", outcome.err);
	return outcome;
}

struct outcome run_cli_as_stranger(const char *socket, const char *const *arguments)
{
	struct outcome outcome;

	stranger = true;
	outcome = run_cli(socket, arguments, TO_PIPES);
	stranger = false;
	return outcome;
}

void outcome_free(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->err);
}

void expect_text(const char *what, const char *text, const char *wanted)
{
	if (!wanted)
		return;
	if (!*wanted && *text)
		fail_msg("%s should be empty, but is: %s", what, text);
	if (!strstr(text, wanted))
		fail_msg("%s should hold \"%s\", but is: %s", what, wanted, text);
}

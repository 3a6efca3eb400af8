// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cut_short.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/bpf.h>

#include "harness.h"

#define AT_CALL (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

bool is_pinning(uint64_t number, const uint64_t arguments[6])
{
	return number == SYS_bpf && arguments[0] == BPF_OBJ_PIN;
}

bool is_unlinking(uint64_t number, const uint64_t arguments[6])
{
	return number == SYS_unlinkat && (int)arguments[0] != AT_FDCWD;
}

/* A child that is stopped behind its exec. */
static pid_t start_traced(const char *log, char *const argv[])
{
	pid_t pid = fork();
	int fd, status;

	assert_true(pid >= 0);
	if (!pid) {
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
		    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	return pid;
}

/* Returns true where a call that counts has just succeeded. counted: whether the one that began does. */
static bool look_at_call(pid_t pid, counts_call *counts, bool *counted)
{
	struct __ptrace_syscall_info call;

	assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call) > 0);
	if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
		uint64_t arguments[6];

		memcpy(arguments, call.entry.args, sizeof(arguments));
		*counted = counts(call.entry.nr, arguments);
		return false;
	}
	return call.op == PTRACE_SYSCALL_INFO_EXIT && *counted && !call.exit.is_error;
}

bool cut_short(const char *log, char *const argv[], counts_call *counts, unsigned int nth)
{
	pid_t pid = start_traced(log, argv);
	uint64_t end_ms = monotonic_ms() + 6 * PATIENCE_MS;
	bool counted = false;
	int status, signal = 0;

	while (monotonic_ms() < end_ms) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (long)signal), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			if (!WIFEXITED(status) || WEXITSTATUS(status))
				show_file(log);
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		signal = WSTOPSIG(status) == AT_CALL ? 0 : WSTOPSIG(status);
		if (!signal && look_at_call(pid, counts, &counted) && !--nth)
			break;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(nth, 0);
	return true;
}

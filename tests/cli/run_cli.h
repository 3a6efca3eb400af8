/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Run `sluice` as an operator would and look at what came of it.
 */
#ifndef SLUICE_TESTS_CLI_RUN_CLI_H
#define SLUICE_TESTS_CLI_RUN_CLI_H

#define ARGUMENTS_MAX 16

/* Where stdout and stderr go. */
enum output {
	TO_PIPES,
	TO_TERMINAL,  /* one, of 80 columns; all that was written is in out */
	TO_FULL_DISK, /* stdout alone; stderr is a pipe */
};

struct outcome {
	int status; /* exit status; 128 and the signal where one ended it */
	char *out;
	char *err;
};

/*
 * Run sluice with these arguments, NULL-terminated, and --socket where socket is not NULL.
 * Fails the test where the program takes longer than 10 s or a sanitizer stops it.
 */
struct outcome run_cli(const char *socket, const char *const *arguments, enum output output);

/* The same to pipes, by somebody who may use no file that is another user's. */
struct outcome run_cli_as_stranger(const char *socket, const char *const *arguments);

void outcome_free(struct outcome *outcome);

/*
 * Check that text holds wanted: "" wants it empty, NULL wants nothing of it. what names the text
 * where the test fails.
 */
void expect_text(const char *what, const char *text, const char *wanted);

#endif

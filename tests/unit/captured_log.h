/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon logs meanwhile, in a file of the test's folder instead of on stderr. */
#ifndef SLUICE_TEST_CAPTURED_LOG_H
#define SLUICE_TEST_CAPTURED_LOG_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "temp_folder.h"

static int captured_from = -1; /* stderr as it was */

static void log_capture(void)
{
	int file = open(temp_path("log"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	captured_from = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
	close(file);
}

/* Log to stderr again. The text is valid until the next call. */
static const char *log_captured(void)
{
	static char text[8192];
	FILE *file = fopen(temp_path("log"), "r");

	dup2(captured_from, STDERR_FILENO);
	close(captured_from);
	text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = '\0';
	if (file)
		fclose(file);
	return text;
}

#endif

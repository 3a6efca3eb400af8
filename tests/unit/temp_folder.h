/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A folder of a test's own, gone when the test is. */
#ifndef SLUICE_TEST_TEMP_FOLDER_H
#define SLUICE_TEST_TEMP_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char temp_folder[64];

static int temp_folder_make(void)
{
	strcpy(temp_folder, "/tmp/sluice-test-XXXXXX");
	return mkdtemp(temp_folder) ? 0 : -1;
}

static int temp_folder_unlink(const char *path, const struct stat *status, int kind,
			      struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

static int temp_folder_remove(void)
{
	return nftw(temp_folder, temp_folder_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder; valid until the fourth call after this one. */
static inline const char *temp_path(const char *name)
{
	static char paths[4][128];
	static int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", temp_folder, name);
	return path;
}

#endif

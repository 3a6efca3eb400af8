/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The note that the kernel that runs has passed the probes of the daemon that runs. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "probe.h"
#include "util.h"

#define NOTE	"probed"
#define BOOT_ID "/proc/sys/kernel/random/boot_id" /* another with each boot, random(4) */
#define PROGRAM "/proc/self/exe"		  /* with the BPF programs in it */

#define MARK_SIZE 32

static bool hash_file(crypto_generichash_state *state, const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	uint8_t bytes[16384];
	size_t length;

	if (!file)
		return false;
	while ((length = fread(bytes, 1, sizeof(bytes), file)))
		crypto_generichash_update(state, bytes, length);
	return !ferror(file);
}

/* What stands for this boot and this build. */
static bool make_mark(uint8_t ret_mark[MARK_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, MARK_SIZE);
	if (!hash_file(&state, BOOT_ID) || !hash_file(&state, PROGRAM))
		return false;
	crypto_generichash_final(&state, ret_mark, MARK_SIZE);
	return true;
}

static int open_note(const char *state_folder, int flags)
{
	_cleanup_close_ int folder = open(state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return folder < 0 ? -1 : openat(folder, NOTE, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

bool probe_is_noted(const char *state_folder)
{
	_cleanup_close_ int fd = open_note(state_folder, O_RDONLY);
	uint8_t noted[MARK_SIZE + 1], mark[MARK_SIZE];

	return fd >= 0 && read(fd, noted, sizeof(noted)) == MARK_SIZE && make_mark(mark) &&
	       !memcmp(noted, mark, MARK_SIZE);
}

void probe_note(const char *state_folder)
{
	_cleanup_close_ int fd = open_note(state_folder, O_WRONLY | O_CREAT | O_TRUNC);
	uint8_t mark[MARK_SIZE];

	/* Half a note is another one than is looked for. */
	if (fd < 0 || !make_mark(mark) || write(fd, mark, MARK_SIZE) < 0)
		return;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk that fails, under SQLite: a VFS over the one that is there, as the default of this process.
 * Each write, sync, truncation, deletion and growth of the shared index is a step; the one that was
 * chosen, and where wanted all behind it, fails, or is where the power is cut.
 *
 * What a power cut leaves of a file is what was synced last, and of the writes since then all, none,
 * or any of their sectors.
 */
#ifndef SLUICE_TEST_FAULT_VFS_H
#define SLUICE_TEST_FAULT_VFS_H

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULT_SECTOR 512
#define FAULT_FILES  32

enum fault_kind {
	FAULT_NONE,
	FAULT_FULL,	/* half of a write fits */
	FAULT_ERROR,	/* half of a write is done; a sync fails behind writes that were done */
	FAULT_CUT_KEPT, /* all that was written before is on disk: as if killed */
	FAULT_CUT_LOST, /* nothing that was not synced is */
	FAULT_CUT_TORN, /* any sectors of it are, as the seed has it */
	FAULT_KILL,	/* the process ends, with FAULT_KILLED as its status */
};

#define FAULT_KILLED 77

struct fault_write {
	sqlite3_int64 offset;
	size_t length; /* of data; data NULL: the file was cut off at offset */
	unsigned char *data;
	bool in_flight; /* when the power was cut */
};

/* Content of a file: size is -1 where there is none. */
struct fault_image {
	unsigned char *data;
	sqlite3_int64 size;
};

struct fault_file {
	char path[256];
	struct fault_image synced;
	struct fault_write *writes; /* since then */
	size_t count;
	bool deleted;		 /* since then */
	struct fault_image left; /* by the power cut */
};

struct fault_handle {
	sqlite3_file base;
	struct fault_file *file;
	sqlite3_file *real;
};

static struct {
	enum fault_kind kind;
	int at; /* the step that it befalls, from 1 */
	bool lasts;
	unsigned int seed;
	int steps; /* so far */
	bool cut;
	sqlite3_vfs *real;
	struct fault_file files[FAULT_FILES];
} faults;

/* --- what is on disk ----------------------------------------------------------------------------- */

static inline struct fault_image fault_read(const char *path)
{
	struct fault_image image = { .size = -1 };
	FILE *file = fopen(path, "re");

	if (!file)
		return image;
	fseek(file, 0, SEEK_END);
	image.size = ftell(file);
	rewind(file);
	image.data = malloc(image.size + 1);
	if (fread(image.data, 1, image.size, file) != (size_t)image.size)
		abort();
	fclose(file);
	return image;
}

static inline void fault_write_back(const char *path, const struct fault_image *image)
{
	FILE *file;

	unlink(path);
	if (image->size < 0)
		return;
	file = fopen(path, "we");
	if (!file || fwrite(image->data, 1, image->size, file) != (size_t)image->size)
		abort();
	fclose(file);
	chmod(path, 0600);
}

static inline void fault_drop(struct fault_image *image)
{
	free(image->data);
	*image = (struct fault_image){ .size = -1 };
}

static inline void fault_forget_writes(struct fault_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		free(file->writes[i].data);
	free(file->writes);
	file->writes = NULL;
	file->count = 0;
}

static inline void fault_note(struct fault_file *file, sqlite3_int64 offset, const void *data,
			      size_t length, bool in_flight)
{
	struct fault_write *write;

	file->writes = reallocarray(file->writes, file->count + 1, sizeof(*file->writes));
	write = &file->writes[file->count++];
	*write = (struct fault_write){ .offset = offset, .length = length, .in_flight = in_flight };
	if (data) {
		write->data = malloc(length);
		memcpy(write->data, data, length);
	}
}

/* The file of that path, noted with what is on disk where it is new. */
static inline struct fault_file *fault_find(const char *path)
{
	struct fault_file *file = faults.files;

	for (; file < faults.files + FAULT_FILES && *file->path; file++)
		if (!strcmp(file->path, path))
			return file;
	if (file == faults.files + FAULT_FILES)
		abort();
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->synced = fault_read(path);
	file->left.size = -1;
	return file;
}

/* --- a power cut ---------------------------------------------------------------------------------- */

static inline bool fault_coin(void)
{
	faults.seed = faults.seed * 1103515245 + 12345;
	return faults.seed >> 16 & 1;
}

static inline void fault_resize(struct fault_image *image, sqlite3_int64 size)
{
	image->data = realloc(image->data, size + 1);
	if (size > image->size)
		memset(image->data + (image->size < 0 ? 0 : image->size), 0,
		       size - (image->size < 0 ? 0 : image->size));
	image->size = size;
}

/* Apply the sectors of a write that reached the disk. */
static inline void fault_apply(struct fault_image *image, const struct fault_write *write)
{
	bool torn = faults.kind == FAULT_CUT_TORN;
	sqlite3_int64 end = write->offset + write->length;

	if (faults.kind == FAULT_CUT_LOST || (write->in_flight && !torn))
		return;
	if (!write->data) {
		if (!torn || fault_coin())
			fault_resize(image, write->offset);
		return;
	}
	for (sqlite3_int64 at = write->offset, next; at < end; at = next) {
		next = (at / FAULT_SECTOR + 1) * FAULT_SECTOR;
		if (next > end)
			next = end;
		if (torn && !fault_coin())
			continue;
		if (next > image->size)
			fault_resize(image, next);
		memcpy(image->data + at, write->data + (at - write->offset), next - at);
	}
}

static inline void fault_cut_file(struct fault_file *file)
{
	struct fault_image *left = &file->left;
	bool gone = file->deleted && (faults.kind == FAULT_CUT_KEPT ||
				      (faults.kind == FAULT_CUT_TORN && fault_coin()));

	fault_drop(left);
	if (gone)
		return;
	if (file->synced.size >= 0) {
		fault_resize(left, file->synced.size);
		memcpy(left->data, file->synced.data, file->synced.size);
	}
	for (size_t i = 0; i < file->count; i++)
		fault_apply(left, &file->writes[i]);
}

static inline void fault_cut(void)
{
	faults.cut = true;
	for (int i = 0; i < FAULT_FILES && *faults.files[i].path; i++)
		fault_cut_file(&faults.files[i]);
}

/* --- steps ------------------------------------------------------------------------------------------ */

/* True where this step fails. */
static inline bool fault_step(void)
{
	faults.steps++;
	if (faults.kind == FAULT_NONE || (faults.steps < faults.at && !faults.cut))
		return false;
	if (faults.kind == FAULT_KILL)
		_exit(FAULT_KILLED);
	if (faults.kind < FAULT_CUT_KEPT)
		return faults.lasts || faults.steps == faults.at;
	if (!faults.cut)
		fault_cut();
	return true;
}

static inline struct fault_handle *fault_of(sqlite3_file *base)
{
	return (struct fault_handle *)base;
}

static inline int fault_close(sqlite3_file *base)
{
	return fault_of(base)->real->pMethods->xClose(fault_of(base)->real);
}

static inline int fault_read_at(sqlite3_file *base, void *data, int size, sqlite3_int64 offset)
{
	return fault_of(base)->real->pMethods->xRead(fault_of(base)->real, data, size, offset);
}

static inline int fault_write_at(sqlite3_file *base, const void *data, int size,
				 sqlite3_int64 offset)
{
	struct fault_file *file = fault_of(base)->file;
	sqlite3_file *real = fault_of(base)->real;
	bool will_cut = faults.kind >= FAULT_CUT_KEPT && faults.kind <= FAULT_CUT_TORN &&
			faults.steps + 1 == faults.at;

	if (will_cut)
		fault_note(file, offset, data, size, true);
	if (fault_step()) {
		if (faults.cut)
			return SQLITE_IOERR_WRITE;
		real->pMethods->xWrite(real, data, size / 2, offset);
		fault_note(file, offset, data, size / 2, false);
		return faults.kind == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	fault_note(file, offset, data, size, false);
	return real->pMethods->xWrite(real, data, size, offset);
}

static inline int fault_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	sqlite3_file *real = fault_of(base)->real;

	if (fault_step())
		return SQLITE_IOERR_TRUNCATE;
	fault_note(fault_of(base)->file, size, NULL, 0, false);
	return real->pMethods->xTruncate(real, size);
}

/* The real disk need not be waited for: what is on it is known here. */
static inline int fault_sync(sqlite3_file *base, int flags)
{
	struct fault_file *file = fault_of(base)->file;

	(void)flags;
	if (fault_step())
		return SQLITE_IOERR_FSYNC;
	fault_drop(&file->synced);
	file->synced = fault_read(file->path);
	fault_forget_writes(file);
	return SQLITE_OK;
}

static inline int fault_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
	return fault_of(base)->real->pMethods->xFileSize(fault_of(base)->real, ret_size);
}

static inline int fault_lock(sqlite3_file *base, int level)
{
	return fault_of(base)->real->pMethods->xLock(fault_of(base)->real, level);
}

static inline int fault_unlock(sqlite3_file *base, int level)
{
	return fault_of(base)->real->pMethods->xUnlock(fault_of(base)->real, level);
}

static inline int fault_check_lock(sqlite3_file *base, int *ret_reserved)
{
	sqlite3_file *real = fault_of(base)->real;

	return real->pMethods->xCheckReservedLock(real, ret_reserved);
}

static inline int fault_control(sqlite3_file *base, int what, void *argument)
{
	return fault_of(base)->real->pMethods->xFileControl(fault_of(base)->real, what, argument);
}

static inline int fault_sector_size(sqlite3_file *base)
{
	(void)base;
	return FAULT_SECTOR;
}

/* As the VFS below: what is beside a write stays. Nothing else is promised. */
static inline int fault_characteristics(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static inline int fault_map(sqlite3_file *base, int page, int size, int extend,
			    void volatile **ret_memory)
{
	sqlite3_file *real = fault_of(base)->real;

	if (extend && fault_step())
		return SQLITE_IOERR_SHMSIZE;
	return real->pMethods->xShmMap(real, page, size, extend, ret_memory);
}

static inline int fault_map_lock(sqlite3_file *base, int offset, int count, int flags)
{
	sqlite3_file *real = fault_of(base)->real;

	return real->pMethods->xShmLock(real, offset, count, flags);
}

static inline void fault_barrier(sqlite3_file *base)
{
	fault_of(base)->real->pMethods->xShmBarrier(fault_of(base)->real);
}

static inline int fault_unmap(sqlite3_file *base, int remove)
{
	return fault_of(base)->real->pMethods->xShmUnmap(fault_of(base)->real, remove);
}

static const sqlite3_io_methods fault_methods = {
	.iVersion = 2,
	.xClose = fault_close,
	.xRead = fault_read_at,
	.xWrite = fault_write_at,
	.xTruncate = fault_truncate,
	.xSync = fault_sync,
	.xFileSize = fault_size,
	.xLock = fault_lock,
	.xUnlock = fault_unlock,
	.xCheckReservedLock = fault_check_lock,
	.xFileControl = fault_control,
	.xSectorSize = fault_sector_size,
	.xDeviceCharacteristics = fault_characteristics,
	.xShmMap = fault_map,
	.xShmLock = fault_map_lock,
	.xShmBarrier = fault_barrier,
	.xShmUnmap = fault_unmap,
};

static inline int fault_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
			     int *ret_flags)
{
	struct fault_handle *handle = fault_of(base);
	int code;

	(void)vfs;
	handle->real = (sqlite3_file *)(handle + 1);
	handle->base.pMethods = NULL;
	if (path)
		handle->file = fault_find(path);
	code = faults.real->xOpen(faults.real, path, handle->real, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	if (!path) /* for SQLite's own use */
		abort();
	if (handle->file->deleted) { /* made anew, by another inode */
		fault_drop(&handle->file->synced);
		fault_forget_writes(handle->file);
		handle->file->deleted = false;
	}
	handle->base.pMethods = &fault_methods;
	return SQLITE_OK;
}

static inline int fault_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	struct fault_file *file = fault_find(path);

	(void)vfs;
	if (fault_step())
		return SQLITE_IOERR_DELETE;
	file->deleted = true;
	if (sync) {
		fault_drop(&file->synced);
		fault_forget_writes(file);
	}
	return faults.real->xDelete(faults.real, path, sync);
}

/* --- for the tests ---------------------------------------------------------------------------------- */

/* The name by which the VFS that does not fail is still to be had. */
#define HEALTHY_VFS "unix"

static inline void fault_install(void)
{
	static sqlite3_vfs vfs;

	faults.real = sqlite3_vfs_find(HEALTHY_VFS);
	vfs = *faults.real;
	vfs.zName = "fault";
	vfs.szOsFile = sizeof(struct fault_handle) + faults.real->szOsFile;
	vfs.xOpen = fault_open;
	vfs.xDelete = fault_delete;
	sqlite3_vfs_register(&vfs, 1);
}

/* Begin to count steps, and choose the fault. */
static inline void fault_arm(enum fault_kind kind, int at, bool lasts, unsigned int seed)
{
	faults.kind = kind;
	faults.at = at;
	faults.lasts = lasts;
	faults.seed = seed;
	faults.steps = 0;
	faults.cut = false;
}

/* All is well from here on. Not behind a power cut: then the machine starts anew. */
static inline void fault_disarm(void)
{
	faults.kind = FAULT_NONE;
}

/* Put on disk what the power cut left, and forget all files. Those who had them open are gone. */
static inline void fault_restart(void)
{
	for (int i = 0; i < FAULT_FILES && *faults.files[i].path; i++) {
		struct fault_file *file = &faults.files[i];

		if (faults.cut)
			fault_write_back(file->path, &file->left);
		fault_drop(&file->synced);
		fault_drop(&file->left);
		fault_forget_writes(file);
		*file = (struct fault_file){ 0 };
	}
	faults.cut = false;
	fault_disarm();
}

#endif

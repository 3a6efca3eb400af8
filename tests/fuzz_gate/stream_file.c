// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A stream as a file: lines of text that say all but the bytes, an empty line, and the bytes.
 * Lines that begin with '#' are for whoever reads it. "step S 1 40" is 40 times "step S 1", sending
 * one byte; P pauses for microseconds, A awaits so many answers, F half-closes, R resets.
 */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char step_letters[] = "SPAFR";

static void write_lines(FILE *file, const struct stream *stream)
{
	fprintf(file, "server %d\nkind %d\n", stream->server, stream->kind);
	fprintf(file, "segment %u\nwindow %u\nreads %u\n", stream->segment, stream->window,
		stream->reads);
	fprintf(file, "ends %d\nloose %d\nsize %zu\n", stream->ends, stream->loose, stream->size);
	for (size_t i = 0; i < stream->expected_count; i++)
		fprintf(file, "expect %d %u %zu %d\n", stream->expected[i].status,
			stream->expected[i].number, stream->expected[i].size,
			stream->expected[i].bodyless);
	for (size_t i = 0, times; i < stream->step_count; i += times) {
		const struct step *step = &stream->steps[i];

		for (times = 1; i + times < stream->step_count; times++)
			if (step[times].kind != step->kind || step[times].amount != step->amount)
				break;
		fprintf(file, "step %c %u %zu\n", step_letters[step->kind], step->amount, times);
	}
	fprintf(file, "\n");
}

int stream_save(const struct stream *stream, const char *path, const char *why)
{
	FILE *file = fopen(path, "we");
	int error = 0;

	if (!file)
		return -errno;
	fprintf(file, "# a stream to the %s server, %s\n# %s\n", server_name(stream->server),
		stream_kind_name(stream->kind), why);
	write_lines(file, stream);
	if (fwrite(stream->bytes, 1, stream->size, file) != stream->size)
		error = -EIO;
	if (fclose(file))
		error = -errno;
	return error;
}

/* One line of the head. Returns whether it is one. */
static bool read_line(struct stream *stream, const char *line)
{
	struct expected expected;
	unsigned int number, times = 1;
	const char *letter;
	int bodyless;
	char kind;

	if (sscanf(line, "server %u", &number) == 1 && number < SERVERS)
		return stream->server = number, true;
	if (sscanf(line, "kind %u", &number) == 1 && number < STREAM_KINDS)
		return stream->kind = number, true;
	if (sscanf(line, "segment %u", &stream->segment) == 1 ||
	    sscanf(line, "window %u", &stream->window) == 1 ||
	    sscanf(line, "reads %u", &stream->reads) == 1)
		return true;
	if (sscanf(line, "ends %u", &number) == 1)
		return stream->ends = number, true;
	if (sscanf(line, "loose %u", &number) == 1)
		return stream->loose = number, true;
	if (sscanf(line, "size %zu", &stream->size) == 1)
		return stream->size <= STREAM_ROOM;
	if (sscanf(line, "expect %d %u %zu %d", &expected.status, &expected.number, &expected.size,
		   &bodyless) == 4 &&
	    stream->expected_count < REQUESTS_MAX) {
		expected.bodyless = bodyless;
		stream->expected[stream->expected_count++] = expected;
		return true;
	}
	if (sscanf(line, "step %c %u %u", &kind, &number, &times) < 2 ||
	    times > STEPS_MAX - stream->step_count)
		return false;
	letter = strchr(step_letters, kind);
	while (letter && times--)
		stream->steps[stream->step_count++] =
			(struct step){ letter - step_letters, number };
	return letter;
}

int stream_load(struct stream *stream, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int error = 0;

	if (!file)
		return -errno;
	memset(stream, 0, sizeof(*stream));
	while (!error && fgets(line, sizeof(line), file) && line[0] != '\n')
		if (line[0] != '#' && !read_line(stream, line))
			error = -EINVAL;
	if (!error && fread(stream->bytes, 1, stream->size, file) != stream->size)
		error = -EINVAL;
	fclose(file);
	return error;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Write the rows of the tests' tables into files, for the fuzzers to begin with.
 *
 *	export FOLDER		files go into FOLDER/head, FOLDER/chunk and FOLDER/response
 */
#include <err.h>
#include <stdio.h>

#include "parity/chunk_corpus.h"
#include "parity/http_corpus.h"
#include "parity/response_corpus.h"

static void write_row(const char *folder, const char *kind, size_t number, const char *bytes,
		      size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/row-%zu", folder, kind, number);
	file = fopen(path, "w");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
		err(1, "%s cannot be written", path);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: export FOLDER");
	for (size_t i = 0; i < HTTP_CORPUS_SIZE; i++)
		write_row(argv[1], "head", i, http_corpus[i].bytes, http_corpus[i].size);
	for (size_t i = 0; i < CHUNK_CORPUS_SIZE; i++)
		write_row(argv[1], "chunk", i, chunk_corpus[i].bytes, chunk_corpus[i].size);
	for (size_t i = 0; i < RESPONSE_CORPUS_SIZE; i++)
		write_row(argv[1], "response", i, response_corpus[i].bytes,
			  response_corpus[i].size);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The test in the place of the threaded application, to decide when and in which pieces it reads
 * and answers; or another program in that place. Functions fail the running test where they cannot
 * do what they say.
 */
#ifndef SLUICE_TESTS_NET_STAND_IN_H
#define SLUICE_TESTS_NET_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_client.h"

/* Stop the threaded application and listen on its port. Returns the port. */
uint16_t stand_in_listen(void);

/* Stop the threaded application, for another to listen on its port. */
void stand_in_free(void);

/*
 * Run "interpreter program PORT FOLDER" in the application's place; program is a path in the source
 * tree. Returns the application's row, which it fills.
 */
const struct application *stand_in_run(const char *interpreter, const char *program);

/* End what was begun with stand_in_listen() or stand_in_run(), and start the application again. */
void stand_in_leave(void);

/* Accept a client's connection. Returns this end of it, which stand_in_leave() closes. */
int stand_in_accept(void);

/* A client's connection, accepted. */
struct client *stand_in_meet(int *ret_server);

/*
 * Read at the server until text has come, within the harness' patience. What was read is kept as a
 * string, at most size - 1 bytes. Returns its length.
 */
size_t stand_in_read(int server, const char *text, char *ret_read, size_t size);

/* Write a text as the application, in one piece. */
void stand_in_write(int server, const char *text);

/* Receive what is there of a request, at least a byte, and forget it. */
void stand_in_receive(int server);

/* Make an answer whose body is `length` times 'A'. Returns its size. */
size_t stand_in_make_answer(char *ret_answer, size_t length);

/* True where nothing reaches the server for ms. */
bool stand_in_is_spared(int server, unsigned int ms);

/* True where the server reads end-of-file, or a reset, within ms and nothing before it. */
bool stand_in_sees_end(int server, unsigned int ms);

#endif

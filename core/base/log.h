/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line a message on stderr, above a level. For the developer and the curious; what the user must know
 * of a failure travels in a struct error instead. Any thread may write.
 */
#ifndef NAPM_BASE_LOG_H
#define NAPM_BASE_LOG_H

/* The numbers are NAPM_LOG_... of the SDK. */
enum log_level { LOG_ERROR_LEVEL = 0, LOG_WARNING_LEVEL = 1, LOG_INFO_LEVEL = 2, LOG_DEBUG_LEVEL = 3 };

/* The least important level that is still written; LOG_WARNING_LEVEL to begin with. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Called around every line, so that a progress bar can be cleared and drawn again; NULL: nobody. */
void log_set_screen(void (*before)(void), void (*after)(void));

void log_write(enum log_level level, const char *source, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(source, ...) log_write(LOG_ERROR_LEVEL, source, __VA_ARGS__)
#define log_warning(source, ...) log_write(LOG_WARNING_LEVEL, source, __VA_ARGS__)
#define log_info(source, ...) log_write(LOG_INFO_LEVEL, source, __VA_ARGS__)
#define log_debug(source, ...) log_write(LOG_DEBUG_LEVEL, source, __VA_ARGS__)

#endif

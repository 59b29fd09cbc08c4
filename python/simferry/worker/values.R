# What replications returned and signalled, made safe at once: no code of the simulation runs when a block is written.
# Methods of its classes may do anything when they are asked.

# The rows of a value: plain vectors of one length, with names; NULL for nothing; or an "object" to be kept whole.
rows_of <- function(value) {
  rows <- tryCatch(as_columns(value),
                   error = function(e) if (inherits(e, "simferry_refusal")) stop(e) else refuse_value(value, e))
  if (!is.list(rows)) return(rows)
  odd <- attr(rows, "odd")
  if (!length(rows <- unclass(rows))) return(NULL)
  if (!all(vapply(rows, function(x) !is.null(attr(x, "form")) || is.atomic(x) && !is.null(x) && !is.object(x), NA)) ||
      length(unique(lengths(rows))) > 1L)
    refuse("the simulation returned ", an(class(value)[1L]), " whose columns are of different lengths or kinds")
  structure(lapply(rows, function(x) like(x, x)), names = utf8(names(rows)), odd = odd)
}

refuse_value <- function(value, e)
  refuse("the simulation returned ", an(class(value)[1L]), ", which can't be kept: ", message_of(e),
         ". Return numbers, a named vector, a list or a data frame")

# Text also where the message is NA, or a method of the condition's class fails.
message_of <- function(condition) {
  as_text(conditionMessage(condition), "(its message can't be had: conditionMessage() fails)")
}
call_of <- function(condition) {
  as_text(if (!is.null(call <- conditionCall(condition))) paste(deparse(call, nlines = 3L), collapse = " "), "")
}

# At most 100,000 bytes of it. otherwise: the text where it has no value.
as_text <- function(text, otherwise) {
  text <- tryCatch(utf8(paste(as.character(text), collapse = "\n")), error = function(e) otherwise)
  if (nchar(text, "bytes") <= 1e5) text
  else paste0(utf8(substr(text, 1L, 1e5)), " ... (", nchar(text, "bytes"), " bytes in all)")
}

# Puts the settings that the worker itself depends on back, where the simulation has changed them. Returns the options
# that were set.
worker_settings <- function(at_start) {
  if (!identical(Sys.umask(NA), at_start$umask)) Sys.umask(at_start$umask)
  for (category in names(at_start$locale))
    if (Sys.getlocale(category) != at_start$locale[[category]])
      suppressWarnings(Sys.setlocale(category, at_start$locale[[category]]))
  tempdir(check = TRUE)
  options(warn = 1L, encoding = "native.enc", OutDec = ".", scipen = 0L, digits = 7L, expressions = 5000L)
}

settings_at_start <- function() list(umask = Sys.umask(NA), locale = sapply(c("LC_CTYPE", "LC_NUMERIC"), Sys.getlocale))

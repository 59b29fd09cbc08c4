# The bridge: one function of Python's, _rbridge/call.py, to and from which R's own serialisation travels as raw
# vectors.

session <- new.env(parent = emptyenv())   # bridge: the Python module, once it is there; python: which, and why

# What a verb of the bridge answers. Its warnings become R's, its notes messages, its errors conditions of class
# simferry_error_<code>. back: a function of an R object that the verb may call; it must not end in an error.
bridge <- function(verb, ..., back = NULL) {
  module <- python()   # first: starting it changes the environment
  call <- suspendInterrupts(module$call)   # an interrupt in reticulate itself would be an error of C++
  request <- list(verb = verb, arguments = list(...), environment = environment_now(), session = variables())
  asked <- serialize(request, NULL, xdr = FALSE, version = 2L)
  if (length(asked) >= 2^31 - 1) raise("usage", "what is to be sent is larger than 2 GB")
  # Python calls R at each import: an interrupt there is not Python's to handle
  if (!is.null(back)) {
    of_bytes <- function(bytes)
      suspendInterrupts(serialize(back(unserialize(bytes)), NULL, xdr = FALSE, version = 2L))
    answer <- unserialize(suspendInterrupts(call(asked, of_bytes)))
  } else {
    answer <- unserialize(suspendInterrupts(call(asked)))
  }
  for (text in answer$notes) message("note: ", shown(text))
  for (text in answer$warnings) warning(shown(text), call. = FALSE)
  if (!answer$ok) {
    if (answer$error$code == "interrupted") forget_interrupt()
    raise(answer$error$code, answer$error$message, answer$error$hint)
  }
  answer$value
}

# For a Ctrl-C that has been answered: R may have been told of it as well as Python, and who is impatient presses twice.
forget_interrupt <- function() tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(e) NULL)

variables <- function() {
  now <- Sys.getenv()
  stats::setNames(as.character(now), names(now))
}

# What a process that is started from R should find: this R first, its libraries, and no library path of R's own.
environment_now <- function() {
  out <- variables()
  out[["PATH"]] <- paste(c(R.home("bin"), if ("PATH" %in% names(out)) out[["PATH"]]), collapse = .Platform$path.sep)
  out[["R_LIBS"]] <- paste(.libPaths(), collapse = .Platform$path.sep)
  path <- without_r(Sys.getenv("LD_LIBRARY_PATH"))
  out <- out[!names(out) %in% c("LD_LIBRARY_PATH", "R_TESTS", "R_PROFILE_USER", "R_DEFAULT_PACKAGES")]
  if (nzchar(path)) out[["LD_LIBRARY_PATH"]] <- path
  out
}

# R puts its own folders before those of LD_LIBRARY_PATH, with which another Python takes the system's libraries.
without_r <- function(path) {
  if (!nzchar(path)) return(path)
  if (is.null(session$ld_path)) {
    script <- file.path(R.home("etc"), "ldpaths")
    code <- sprintf("unset LD_LIBRARY_PATH R_LD_LIBRARY_PATH; R_HOME=%s; . %s; printf %%s \"$R_LD_LIBRARY_PATH\"",
                    shQuote(R.home()), shQuote(script))
    session$ld_path <- if (file.exists(script)) suppressWarnings(system2("sh", c("-c", shQuote(code)), stdout = TRUE))
      else character()
  }
  added <- session$ld_path
  if (!length(added)) return("")
  while (path == added || startsWith(path, paste0(added, ":"))) path <- substring(path, nchar(added) + 2L)
  path
}

# The Python module behind everything, started at the first use.
python <- function() {
  if (is.null(session$bridge)) session$bridge <- start_python()
  session$bridge
}

# The stream of an R process that a simulation starts: below a command, or with system("Rscript ...") below a script.
#
# SIMFERRY_PARENT is what the process above it is known by, the replication itself to begin with. A process's stream
# follows from that, from its program and arguments, and from how many of the same began before it below that parent:
# not from which of several that run at once began first. SIMFERRY_PROCESSES is the replication's folder in which they
# are counted. Of what R itself starts with system() the parent is this R at its present state: each task's children are
# its own. See docs/decisions/processes-below.md; the same for Python stands in below.py.

# NULL for workers of a cluster, whose tasks bring their streams along, and where they can't be counted.
stream_below <- function() {
  if (any(grepl("(work|slave)RSOCK", commandArgs()))) return(NULL)
  folder <- Sys.getenv("SIMFERRY_PROCESSES")
  digest <- function(...) {
    file <- tempfile(tmpdir = folder)
    on.exit(unlink(file, expand = FALSE))
    writeBin(charToRaw(paste(c(...), collapse = "\n")), file)
    tools::md5sum(file)[[1L]]
  }
  counted <- tryCatch({
    same <- digest("R", Sys.getenv("SIMFERRY_PARENT"), known_arguments(commandArgs()[-1L]))
    count <- length(list.files(folder, paste0("^", same)))
    repeat if (dir.create(file.path(folder, paste0(same, "-", count <- count + 1L)), showWarnings = FALSE)) break
    else if (!dir.exists(file.path(folder, paste0(same, "-", count)))) stop(folder, " can't be written to")
    count
  }, error = function(e) message("simferry: this R process has no random numbers of its own: ", conditionMessage(e)),
     warning = function(w) message("simferry: this R process has no random numbers of its own: ", conditionMessage(w)))
  if (is.null(counted)) return(NULL)
  own <- digest(same, counted)
  Sys.setenv(SIMFERRY_PARENT = own)
  halves <- strtoi(substring(paste0(digest(own, 1), digest(own, 2)), seq(1, 45, 4), seq(4, 48, 4)), 16L)
  word <- (halves[c(TRUE, FALSE)] * 65536 + halves[c(FALSE, TRUE)]) %% rep(c(4294967087, 4294944443), each = 3L)
  c(10407L, suppressWarnings(as.integer(ifelse(word >= 2^31, word - 2^32, word))))
}

hand_down_streams <- function() {
  parent <- Sys.getenv("SIMFERRY_PARENT")
  now <- function() {
    state <- globalenv()[[".Random.seed"]]
    Sys.setenv(SIMFERRY_PARENT = paste(c(parent, state[seq_len(min(8L, length(state)))]), collapse = ","))
  }
  environment(now) <- list2env(list(parent = parent), parent = baseenv())
  value <- base::system
  body(value) <- call("{", as.call(list(now)), body(value))
  base <- baseenv()
  unlockBinding("system", base)
  assign("system", value, envir = base)
  lockBinding("system", base)
}

# Reports to the worker which files are sourced and, at the end, which packages are loaded: they may be the user's own
# code (own.R).
report_own_code <- function() {
  folder <- Sys.getenv("SIMFERRY_PROCESSES")
  report <- function(file, what) {
    tryCatch(cat(paste0(what, "\n"), file = file.path(folder, file), sep = "", append = TRUE), error = function(e) NULL,
             warning = function(w) NULL)
  }
  report_source <- function(file) tryCatch(if (is.character(file) && length(file) == 1L && file.exists(file)) {
    path <- normalizePath(file)
    if (!startsWith(path, paste0(normalizePath(tempdir()), "/"))) report("sourced", path)
  }, error = function(e) NULL)
  for (name in c("source", "sys.source")) {
    value <- get(name, baseenv())
    body(value) <- call("{", bquote(.(report_source)(file)), body(value))
    unlockBinding(name, baseenv())
    assign(name, value, envir = baseenv())
    lockBinding(name, baseenv())
  }
  reg.finalizer(environment(), function(e) report("packages", loadedNamespaces()), onexit = TRUE)
}

# Without what differs between workers, machines and runs: where the replication's folders are, names of temporary
# files.
known_arguments <- function(arguments) {
  root <- dirname(dirname(Sys.getenv("SIMFERRY_PROCESSES")))
  for (folder in c(Sys.getenv("SIMFERRY_OUTPUT"), dirname(Sys.getenv("R_PROFILE_USER")),
                   file.path(root, "input", "code"), root))
    if (nzchar(folder)) arguments <- gsub(folder, ".", arguments, fixed = TRUE, useBytes = TRUE)
  # mktemp's
  arguments <- gsub("tmp[.][A-Za-z0-9]{6,}", "tmp", arguments, useBytes = TRUE)
  # Python's
  arguments <- gsub("/tmp[a-z0-9_]{8}(?![A-Za-z0-9_])", "/tmp", arguments, perl = TRUE, useBytes = TRUE)
  # R's
  gsub("Rtmp[A-Za-z0-9]{6}(/[^/[:space:]]*?[0-9a-f]{7,})?", "Rtmp", arguments, perl = TRUE, useBytes = TRUE)
}

# The worker: runs the stretches of one job beside an R simulation, and writes blocks. It needs base R alone.
#
#   Rscript worker.R check ROOT     is the simulation fit to run? answers in ROOT/check
#   Rscript worker.R run ROOT       runs ROOT/input/plan/job on all of the job's cores
#   Rscript worker.R replay ROOT    runs that job's one replication in the foreground
#
# ROOT/input/code   the script and the files beside it         ROOT/blocks      finished blocks are moved here
# ROOT/input/plan   job: what to run (a block file)             ROOT/artifacts   files that replications wrote
# ROOT/scratch      claims, open files; of no worth afterwards  ROOT/message     why the job can't go on
#
# The same protocol in Python stands in worker.py; the block format is described in blocks.py.

options(warn = 1)
# Not in the global environment: that belongs to the simulation, which may clear it. And by parse(): Rscript parses a script's
# expression anew at each of its lines, which took half a second when all of this stood in one.
local({
  own <- gsub("~+~", " ", sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1L]), fixed = TRUE)
  space <- new.env(parent = baseenv())
  for (expression in parse(own, keep.source = FALSE)[-(1:3)]) eval(expression, space)
})
quit("no")

# ---- blocks ----

escape <- function(x) gsub("\n", "\\n", gsub("\\", "\\\\", x, fixed = TRUE), fixed = TRUE)
unescape <- function(x) gsub("\001", "\\", gsub("\\n", "\n", gsub("\\\\", "\001", x, fixed = TRUE), fixed = TRUE), fixed = TRUE)

column_kind <- function(x) switch(typeof(x), double = "double", integer = "integer", logical = "logical", list = "raw", "string")

column_bytes <- function(x) {
  if (is.list(x)) return(c(writeBin(lengths(x), raw(), endian = "little"), unlist(x)))
  if (!is.character(x)) return(writeBin(if (is.logical(x)) as.integer(x) else x, raw(), endian = "little"))
  x <- enc2utf8(x)
  if (!all(valid <- validUTF8(x))) x[!valid] <- iconv(x[!valid], "UTF-8", "UTF-8", sub = "byte")
  lengths <- nchar(x, "bytes", allowNA = TRUE)
  lengths[is.na(x)] <- -1L
  c(writeBin(as.integer(lengths), raw(), endian = "little"), charToRaw(paste(x[!is.na(x)], collapse = "")))
}

# facts: named character; tables: list of list(name =, columns = data frame or list of plain vectors, or of lists of raw vectors)
write_block <- function(path, facts, tables) {
  header <- c("simferry block 1", paste0(names(facts), ": ", escape(facts)))
  body <- list()
  for (table in tables) {
    columns <- lapply(unclass(table$columns), function(x) if (typeof(x) %in% c("double", "integer", "logical", "list")) as.vector(x) else as.character(x))
    header <- c(header, sprintf("table: %s %d", table$name, length(columns[[1]])),
                paste0(vapply(columns, column_kind, ""), ": ", escape(enc2utf8(names(columns)))))
    body <- c(body, lapply(columns, column_bytes))
  }
  bytes <- do.call(c, c(list(charToRaw(paste0(paste(header, collapse = "\n"), "\n\n"))), unname(body)))
  con <- gzfile(path, "wb", compression = 1)
  tryCatch(writeBin(bytes, con), finally = close(con))
  # R does not say when a disk is full: read it back
  con <- gzfile(path, "rb")
  whole <- tryCatch(length(readBin(con, "raw", length(bytes) + 1)), error = function(e) -1, warning = function(w) -1, finally = close(con))
  if (whole != length(bytes)) stop("could not be written whole: ", path, " (is there room on the disk?)", call. = FALSE)
}

read_block <- function(path) {
  con <- gzfile(path, "rb")
  on.exit(close(con))
  facts <- list(); tables <- list(); order <- list()
  if (readLines(con, 1L) != "simferry block 1") stop(path, " is not a block")
  while (nzchar(line <- readLines(con, 1L, encoding = "UTF-8"))) {
    at <- regexpr(": ", line, fixed = TRUE)
    key <- substr(line, 1L, at - 1L); value <- substr(line, at + 2L, nchar(line))
    if (key == "table") {
      name <- sub(" [0-9]+$", "", value)
      tables[[name]] <- list()
      rows <- as.integer(sub("^.* ", "", value))
    } else if (!length(tables)) facts[[key]] <- unescape(value)
    else order <- c(order, list(list(table = name, column = unescape(value), kind = key, rows = rows)))
  }
  for (o in order) {
    x <- if (o$kind == "double") readBin(con, "double", o$rows, endian = "little") else readBin(con, "integer", o$rows, endian = "little")
    if (o$kind == "logical") x <- as.logical(x)
    if (o$kind == "string") {
      lengths <- x
      bytes <- readBin(con, "raw", sum(pmax(lengths, 0L)))
      x <- readChar(bytes, pmax(lengths, 0L), useBytes = TRUE)
      Encoding(x) <- "UTF-8"
      x[lengths < 0L] <- NA_character_
    }
    if (o$kind == "raw") x <- lapply(x, function(length) readBin(con, "raw", length))
    tables[[o$table]][[o$column]] <- x
  }
  list(facts = facts, tables = tables)
}

# ---- what a replication returned, as rows ----

is_plain <- function(x) is.atomic(x) && !is.null(x)

# A data frame's worth of columns (a list of vectors of equal length), NULL for nothing, or an "object" to be kept whole.
as_columns <- function(value) {
  if (is.null(value)) return(NULL)
  if (is.function(value) || inherits(value, "connection") || typeof(value) %in% c("externalptr", "environment"))
    refuse("the simulation returned a ", class(value)[1], ", which can't be kept: return numbers, a named vector, a list or a data frame")
  if (is.matrix(value) && is_plain(value)) value <- as.data.frame(value, stringsAsFactors = FALSE)
  if (is.data.frame(value)) {
    if (!all(vapply(value, is_plain, NA)) || any(vapply(value, is.matrix, NA))) return("object")
    columns <- lapply(value, plain)
    return(if (length(columns)) structure(columns, names = output_names(value)) else NULL)
  }
  if (is_plain(value)) {
    n <- length(value)
    if (n == 0L) return(NULL)
    return(structure(as.list(plain(value)), names = output_names(value)))
  }
  if (is.list(value)) {
    if (any(bad <- vapply(value, function(v) is.function(v) || inherits(v, "connection") || typeof(v) == "externalptr", NA)))
      refuse("the simulation returned a list with a ", class(value[bad][[1]])[1], ", which can't be kept: return numbers, strings and logicals")
    if (!length(value)) return(NULL)
    if (all(vapply(value, function(v) is_plain(v) && length(v) == 1L, NA)))
      return(structure(lapply(value, plain), names = output_names(value)))
  }
  "object"
}

# factors, dates: as they print
plain <- function(x) if (is.object(x) && !inherits(x, "table") || is.complex(x)) as.character(x) else as.vector(x)

output_names <- function(x) {
  labels <- names(x)
  if (is.null(labels)) return(if (length(x) == 1L) "value" else paste0("value_", seq_along(x)))
  empty <- is.na(labels) | !nzchar(labels)
  labels[empty] <- paste0("value_", which(empty))
  taken <- labels %in% c("condition", "replication")   # every table of results has such columns
  labels[taken] <- paste0(labels[taken], "_result")
  make.unique(labels)
}

# One table for each distinct set of columns. condition, replication: integers; values: what the replications returned.
result_tables <- function(condition, replication, values) {
  first <- values[[1]]
  # the common case, fast: every value is a double vector with the same names
  if (is.double(first) && !is.object(first) && is.null(dim(first)) && length(first)) {
    labels <- names(first); n <- length(first)
    if (length(attributes(first)) == !is.null(labels) && all(lengths(values) == n) && all(vapply(values, is.double, NA)) &&
        length(unique(lapply(values, attributes))) == 1L) {
      all_values <- matrix(unlist(values, use.names = FALSE), nrow = n)
      columns <- lapply(seq_len(n), function(i) all_values[i, ])
      names(columns) <- output_names(first)
      return(list(list(name = "results", columns = c(list(condition = condition, replication = replication), columns))))
    }
  }
  rows <- lapply(values, as_columns)
  keep <- which(vapply(rows, is.list, NA))
  lapply(unname(split(keep, vapply(rows[keep], function(r) paste(escape(names(r)), collapse = "\n"), ""))), function(at) {
    counts <- vapply(rows[at], function(r) length(r[[1]]), 1L)
    columns <- lapply(seq_along(rows[[at[1]]]), function(j) unlist(lapply(rows[at], `[[`, j), use.names = FALSE))
    names(columns) <- names(rows[[at[1]]])
    list(name = "results", columns = c(list(condition = rep(condition[at], counts), replication = rep(replication[at], counts)), columns))
  })
}

# ---- the job ----

refuse <- function(...) stop(structure(class = c("simferry_refusal", "error", "condition"), list(message = paste0(...), call = NULL)))

# Ends the whole job, from the supervisor or from one of its processes.
give_up <- function(job, ...) {
  # in a container under SageMaker's contract, the second place becomes the job's ExitMessage
  for (place in c(job$root, if (in_container(job)) "/opt/ml/output")) cat(paste0(...), file = file.path(place, "message"))
  if (Sys.getpid() != job$supervisor) tools::pskill(Sys.getpid(), tools::SIGKILL)
  quit("no", status = 1)
}

in_container <- function(job) job$root == "/opt/ml/processing" && dir.exists("/opt/ml/output")

stopping <- function(job) file.exists(file.path(job$root, "scratch", "stop"))

read_job <- function(root) {
  block <- read_block(file.path(root, "input", "plan", "job"))
  job <- block$facts
  job$root <- root
  job$code <- file.path(root, "input", "code")
  job$supervisor <- Sys.getpid()
  job$loop <- FALSE
  for (number in c("workers", "cores", "jobs", "replication_timeout")) job[[number]] <- as.numeric(job[[number]])
  job$stretches <- block$tables$stretches
  job$conditions <- block$tables$conditions
  job$parameters <- block$tables$parameters
  job$row <- match(job$stretches$condition, job$conditions$condition)
  job$states <- cbind(10407L, do.call(cbind, job$stretches[paste0("state_", 1:6)]))
  job
}

is_function <- function(job) job$kind == "function"

load_simulation <- function(job) {
  space <- globalenv()
  if (nzchar(job$objects)) {
    objects <- readRDS(file.path(job$code, job$objects))
    list2env(objects$globals, envir = space)
    for (package in objects$packages) library(package, character.only = TRUE)
    assign(job[["function"]], objects[["function"]], envir = space)
    job$constants <- objects$constants
    job$loop <- isTRUE(objects$loop)   # of foreach: the function is given the iteration's number, and may return anything
  } else for (expression in parse(file.path(job$code, job$script), keep.source = FALSE, encoding = "UTF-8")) eval(expression, space)
  job
}

# The call of one condition: simulate(n = 20, effect = 0.5); in a loop that of an iteration, whose number is put in
condition_call <- function(job, row) if (job$loop) as.call(list(as.name(job[["function"]]), 0L)) else as.call(c(as.name(job[["function"]]), lapply(job$parameters, `[[`, row), job$constants))

facts_here <- function() {
  cpu <- tryCatch(grep("^model name", readLines("/proc/cpuinfo", n = 30L), value = TRUE)[1], error = function(e) NA, warning = function(w) NA)
  packages <- sort(setdiff(loadedNamespaces(), c("base", "compiler", "parallel", "stats", "graphics", "grDevices", "utils", "datasets", "methods")))
  c(interpreter = paste("R", getRversion()),
    packages = paste(sprintf("%s %s", packages, vapply(packages, function(p) as.character(getNamespaceVersion(p)), "")), collapse = ", "),
    blas = basename(extSoftVersion()[["BLAS"]]), cpu = if (is.na(cpu)) R.version$arch else sub("^[^:]*: *", "", cpu))
}

# ---- a process of the job: claims pieces, runs them, writes blocks ----

# Pieces: consecutive stretches that processes claim one after the other, each about a share of what is left, so that
# the last ones are small. Every process computes the same cut; `dir.create` decides who has a piece.
cut_pieces <- function(counts, workers) {
  ends <- integer(); n <- length(counts); total <- cumsum(as.numeric(counts)); at <- 0L
  while (at < n) {
    before <- if (at) total[at] else 0
    share <- (total[n] - before) / (4 * workers)
    at <- max(at + 1L, findInterval(before + share, total))
    ends <- c(ends, at)
  }
  ends
}

# Runs stretches until there are none left to claim. `pieces` ends of pieces; NULL: all stretches, in order, as one piece.
# careful: before each replication its name is written down, so that the supervisor knows which one crashed or hangs.
work <- function(job, process, pieces, careful) {
  root <- job$root
  # where memory runs out this process is to end, and not its supervisor
  tryCatch(suppressWarnings(cat("1000", file = "/proc/self/oom_score_adj")), error = function(e) NULL)
  calls <- vector("list", length(job$conditions$condition))
  run_script <- if (!is_function(job)) script_runner(job, process)
  loop <- job$loop
  next_stream <- if (is_function(job)) parallel::nextRNGSubStream else parallel::nextRNGStream
  facts <- c(run = job$run, facts_here())
  space <- globalenv()
  started <- proc.time()[[3L]]
  block_started <- started
  sequence <- 0L
  fraction <- 0
  marker <- file.path(root, "scratch", paste0("now-", process))
  # What the next block will hold: parts, one of each stretch; of the stretch that is being run `open_part` tells what is whole.
  parts <- list(); open_part <- NULL
  failures <- list(); warned <- list(); texts <- list()
  held <- 0   # bytes of a loop's values; R writes less than 2^31 at a time
  trace <- character()

  seconds_per_block <- function(now) {  # a second, but not more than 50,000 blocks for the whole run
    total <- (now - started) * job$workers * job$jobs / max(fraction, 1e-9)
    min(max(1, total / 50000), as.numeric(job$longest_block))
  }
  flush <- function() suspendInterrupts({
    if (careful) unlink(marker)
    if (!is.null(open_part)) parts <<- c(parts, list(open_part()))
    of <- function(name) unlist(lapply(parts, `[[`, name), recursive = FALSE, use.names = FALSE)
    condition <- of("condition"); replication <- of("replication"); ok <- of("ok")
    if (length(condition)) {
      if (!tools::pskill(job$supervisor, 0L)) tools::pskill(Sys.getpid(), tools::SIGKILL)   # a run without a supervisor is taken up by another
      sequence <<- sequence + 1L
      tables <- list(list(name = "replications", columns = list(condition = condition, replication = replication, ok = ok, seconds = of("seconds"))))
      if (loop) tables <- c(tables, list(list(name = "values", columns = list(condition = condition, replication = replication, value = of("values")))))
      else if (any(ok) && is_function(job)) tables <- c(tables, result_tables(condition[ok], replication[ok], of("values")))
      for (kept in list(list("failures", failures), list("warnings", warned), list("outputs", texts)))
        if (length(kept[[2]])) tables <- c(tables, list(list(name = kept[[1]], columns = do.call(Map, c(list(c), kept[[2]])))))
      save_block(job, process, sequence, length(condition), sum(!ok), facts, tables)
    }
    parts <<- list(); failures <<- list(); warned <<- list(); texts <<- list(); held <<- 0
    block_started <<- proc.time()[[3L]]
  })
  stop_here <- function() signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
  on_error <- function(e) trace <<- tryCatch(user_calls(sys.calls()), error = function(e) character())

  # This loop is what a sweep's time goes into, besides the simulation. Its state is in local variables, and `i` is counted
  # up last, so that what belongs to the first `i` replications is whole at any moment.
  run_stretch <- function(s) {
    row <- job$row[s]
    id <- job$conditions$condition[row]
    first <- job$stretches$first[s]
    count <- job$stretches$count[s]
    state <- job$states[s, ]
    if (is.null(run_script) && is.null(calls[[row]])) calls[[row]] <<- condition_call(job, row)
    call <- calls[[row]]
    i <- 0L
    ok <- logical(count); ends <- numeric(count); values <- vector("list", count)
    began <- now <- proc.time()[[3L]]
    looked <- 0L; look <- 1L   # after how many replications the clock was looked at last, and will be next
    open_part <<- function() {
      whole <- seq_len(i)
      if (looked < i) ends[(looked + 1L):i] <<- proc.time()[[3L]]
      list(condition = rep(id, i), replication = first + whole - 1L, ok = ok[whole], seconds = diff(c(began, ends[whole])), values = values[whole][loop | ok[whole]])
    }
    failed <- function(e) failures[[length(failures) + 1L]] <<- list(
      condition = id, replication = first + i, message = paste(conditionMessage(e), collapse = "\n"),
      call = paste(deparse(conditionCall(e), nlines = 3L), collapse = " "), traceback = paste(trace, collapse = "\n"))
    on_warning <- function(w) {
      if (getOption("warn") >= 2L || is.null(muffle <- findRestart("muffleWarning", w))) return()   # it becomes an error
      n <- length(warned); text <- paste(conditionMessage(w), collapse = "\n")
      last <- if (n) warned[[n]]
      if (n && last$condition == id && last$replication == first + i && last$message == text) warned[[n]]$count <<- last$count + 1L
      else warned[[n + 1L]] <<- list(condition = id, replication = first + i, message = text, count = 1L)
      invokeRestart(muffle)
    }
    while (i < count) tryCatch(withCallingHandlers(
      while (i < count) {
        if (careful) write_marker(marker, id, first + i)
        if (is.null(run_script)) {
          space[[".Random.seed"]] <- state
          if (loop) call[[2L]] <- first + i
          value <- eval(call, space)
          if (loop) {
            value <- serialize(value, NULL, xdr = FALSE)
            held <<- held + length(value)
          } else if (!is.double(value) && !is.null(value)) value <- kept_value(job, id, first + i, value)
          if (!is.null(value)) values[[i + 1L]] <- value
        } else {
          text <- run_script(row, first + i, state)
          if (length(text)) texts[[length(texts) + 1L]] <<- list(condition = id, replication = first + i, text = text)
        }
        ok[i + 1L] <- TRUE
        if (i + 1L >= look) {   # at the clock; not at every replication of a few microseconds
          before <- now
          now <- proc.time()[[3L]]
          # a value that came after the interrupt may be one without the programs that the interrupt ended
          if (now > before && stopping(job)) stop_here()
          since <- (looked + 1L):(i + 1L)
          ends[since] <- before + (now - before) * seq_along(since) / length(since)
          looked <- i + 1L
          look <- looked + if (now - before > 0.002) max(1L, length(since) %/% 2L) else 2L * length(since)
        }
        state <- next_stream(state)
        i <- i + 1L
        if (held > 2^28 || i == looked && now - block_started > 1 && now - block_started > seconds_per_block(now)) suspendInterrupts({
          flush()
          first <- first + i; count <- count - i; i <- 0L; began <- now
          look <- look - looked; looked <- 0L
          ok <- logical(count); ends <- numeric(count); values <- vector("list", count)
        })
      }, warning = on_warning, error = on_error),
      simferry_refusal = function(e) give_up(job, "refused: ", conditionMessage(e), " (condition ", id, ", replication ", first + i, ")"),
      error = function(e) {
        if (stopping(job)) stop_here()
        suspendInterrupts({
          failed(e)
          if (loop) values[[i + 1L]] <<- serialize(e, NULL, xdr = FALSE)
          trace <<- character()
          before <- now
          now <<- proc.time()[[3L]]
          since <- (looked + 1L):(i + 1L)
          ends[since] <<- before + (now - before) * seq_along(since) / length(since)
          looked <<- i + 1L; look <<- looked + 1L
          state <<- next_stream(state)
          i <<- i + 1L
        })
        if (job$on_error == "stop") stop_here()   # what is whole is written at once, and seen
      })
    suspendInterrupts({ parts[[length(parts) + 1L]] <<- open_part(); open_part <<- NULL })
  }
  # An interrupt comes at any moment: what belongs to an unfinished replication is left out.
  flush_what_is_whole <- function() suspendInterrupts({
    if (!is.null(open_part)) {
      at <- environment(open_part)
      at$i <- at$looked   # what came since the last look at the clock may have come after the interrupt
      others <- function(kept) Filter(function(k) k$condition != at$id || k$replication < at$first + at$i, kept)
      failures <<- others(failures); warned <<- others(warned); texts <<- others(texts)
    }
    flush()
  })

  claim <- 0L
  stretches <- length(job$row)
  tryCatch({
    repeat {
      claim <- claim + 1L
      if (claim > max(1L, length(pieces))) break
      if (!is.null(pieces)) {
        claims <- file.path(root, "scratch", "claims", claim)
        if (!dir.create(claims, showWarnings = FALSE)) {
          if (dir.exists(claims)) next
          give_up(job, "disk: ", claims, " can't be made")
        }
        cat(claim, "\n", file = file.path(root, "scratch", paste0("claimed-", process)), append = TRUE)
        span <- (if (claim > 1L) pieces[claim - 1L] + 1L else 1L):pieces[claim]
        fraction <- pieces[claim] / stretches
      } else { span <- seq_len(stretches); fraction <- 1 }
      for (s in span) run_stretch(s)
    }
    flush()
  }, interrupt = function(e) flush_what_is_whole())
}

# Objects that are no table are kept whole, beside the block.
kept_value <- function(job, id, r, value) {
  if (!identical(as_columns(value), "object")) return(value)
  folder <- file.path(job$root, "artifacts", id, r)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  open <- file.path(job$root, "scratch", paste0("object-", Sys.getpid()))
  keep <- function() {
    saveRDS(value, open)
    if (!file.rename(open, file.path(folder, "value.rds"))) stop("it can't be written", call. = FALSE)
  }
  tryCatch(keep(), error = function(e) { unlink(open); give_up(job, "disk: ", file.path(folder, "value.rds"), ": ", conditionMessage(e)) })
  NULL
}

write_marker <- function(path, id, r) {
  cat(id, r, file = paste0(path, "~"))
  file.rename(paste0(path, "~"), path)
}

save_block <- function(job, process, sequence, done, failed, facts, tables) {
  name <- sprintf("%s-%s-%s-%02d.%06d-r%d-f%d", job$plan, job$job, job$attempt, process, sequence, done, failed)
  open <- file.path(job$root, "scratch", name)
  tryCatch({
    write_block(open, facts, tables)
    if (!file.rename(open, file.path(job$root, "blocks", name))) stop("could not be moved to ", file.path(job$root, "blocks"), call. = FALSE)
  }, error = function(e) {
    unlink(open)
    give_up(job, "disk: block ", name, ": ", conditionMessage(e))
  }, warning = function(w) { unlink(open); give_up(job, "disk: block ", name, ": ", conditionMessage(w)) })
}

# The user's part of a call stack, innermost last: what lies between the worker's own frames and its handlers.
user_calls <- function(calls) {
  text <- vapply(calls, function(call) paste(deparse(call, nlines = 2L), collapse = " "), "")
  from <- which(startsWith(text, "eval(call, space)"))
  if (length(from)) text <- text[-seq_len(max(from))]
  text <- text[!grepl("^(h\\(simpleError|\\.handleSimpleError|on_error\\(|user_calls\\(|tryCatch\\(user_calls|tryCatchList\\(|tryCatchOne\\(|doTryCatch\\()", text)]
  rev(rev(text)[seq_len(min(length(text), 30L))])
}

# ---- whole scripts ----

# A function that runs the script once and gives the text of its results file (or nothing).
script_runner <- function(job, process) {
  output <- if (nzchar(job$output)) job$output else file.path(job$root, "scratch", paste0("output-", process))
  beside <- setdiff(list.files(job$code, all.files = TRUE, no.. = TRUE), c("worker.R", "worker.py", "blocks.py", "profile.R", "cluster.R", "private_mount.sh"))
  arguments <- job$conditions[grep("^argument_", names(job$conditions))]
  displaced <- Sys.getenv("R_PROFILE_USER", NA)
  function(row, r, state) {
    unlink(list.files(output, all.files = TRUE, full.names = TRUE, no.. = TRUE), recursive = TRUE)
    dir.create(output, recursive = TRUE, showWarnings = FALSE)
    links <- file.path(output, beside)
    file.symlink(file.path(normalizePath(job$code), beside), links)
    seed <- (as.numeric(job$conditions$seed[row]) + r) %% 2^31
    given <- vapply(arguments, `[[`, "", row)
    given <- gsub("\ue001", r, gsub("\ue002", format(seed, scientific = FALSE), given, fixed = TRUE), fixed = TRUE)
    given <- gsub("\ue003", job$conditions$condition[row], given, fixed = TRUE)
    settings <- c(SIMFERRY_OUTPUT = normalizePath(output), SIMFERRY_SEED = format(seed, scientific = FALSE), SIMFERRY_CORES = job$cores,
                  MC_CORES = job$cores, R_PROFILE_USER = file.path(normalizePath(job$code), "profile.R"),
                  SIMFERRY_STREAM = paste(state, collapse = ","))
    if (!is.na(displaced)) settings[["SIMFERRY_R_PROFILE_USER"]] <- displaced
    if (in_container(job))
      settings <- c(settings, SIMFERRY_HOSTS = paste(job$hosts, collapse = ","), SIMFERRY_TOKEN = job$run,
                    SIMFERRY_CLUSTER = file.path(normalizePath(job$code), "cluster.R"))
    command <- c(file.path(R.home("bin"), "Rscript"), file.path(normalizePath(job$code), job$script), given)
    if (nzchar(job$private_mount)) command <- c("sh", file.path(normalizePath(job$code), "private_mount.sh"), normalizePath(output), command)
    log <- file.path(job$root, "scratch", paste0("log-", process))
    old <- setwd(output)
    on.exit(setwd(old))
    # after the time limit system2 kills the script's process group, and warns; it counts in whole seconds
    status <- suppressWarnings(system2(command[1], shQuote(command[-1]), env = paste0(names(settings), "=", shQuote(settings)),
                                       stdout = log, stderr = log, timeout = ceiling(job$replication_timeout)))
    setwd(old)
    said <- readLines(log, warn = FALSE)
    cat(said, sep = "\n")
    unlink(links)   # links first, so that only what the script wrote is kept
    text <- NULL
    results <- file.path(output, job$results_file)
    if (nzchar(job$results_file) && file.exists(results)) {
      text <- readChar(results, file.size(results), useBytes = TRUE)
      Encoding(text) <- if (validUTF8(text)) "UTF-8" else "latin1"
    }
    keep_output(job, output, job$conditions$condition[row], r)
    if (status == 124 && job$replication_timeout > 0) stop("timed out after ", ceiling(job$replication_timeout), " s", call. = FALSE)
    if (status != 0) stop("the script ended with status ", status, ": ", paste(utils::tail(said[nzchar(said)], 5L), collapse = "\n"), call. = FALSE)
    if (nzchar(job$results_file) && is.null(text)) stop("the script ended without writing ", job$results_file, " in its output folder", call. = FALSE)
    text
  }
}

keep_output <- function(job, output, id, r) {
  written <- list.files(output, all.files = TRUE, no.. = TRUE)
  if (!length(written)) return(invisible())
  folder <- file.path(job$root, "artifacts", id, r)
  unlink(folder, recursive = TRUE)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  for (name in written) {
    from <- file.path(output, name)
    # a mount point, or another disk: copy
    if (!suppressWarnings(file.rename(from, file.path(folder, name))) && !all(file.copy(from, folder, recursive = TRUE)))
      give_up(job, "disk: ", file.path(folder, name), " can't be written")
  }
}

# ---- the supervisor: forks processes, and outlives their crashes ----

# Interrupts are for the processes: they write what they have, and end.
supervise <- function(job) suspendInterrupts({
  job$workers <- max(1, floor(job$workers / job$cores))
  careful <- job$replication_timeout > 0 && is_function(job)
  pieces <- if (nzchar(job$chunked)) seq_along(job$row) else cut_pieces(job$stretches$count, job$workers)
  dir.create(file.path(job$root, "scratch", "claims"), recursive = TRUE, showWarnings = FALSE)
  driver <- as.integer(Sys.getenv("SIMFERRY_DRIVER", "0"))
  killed_before <- memory_kills()
  children <- list()
  seen <- list()     # of each careful process: which replication it is at, and since when
  process <- 0L
  in_vain <- 0L      # how many processes, one after the other, died without having come any further
  # then: the arguments of the process to be started when this one has done its part
  start <- function(job, pieces, careful, then = NULL) {
    process <<- process + 1L
    number <- process
    child <- parallel::mcparallel({ allowInterrupts(work(job, number, pieces, careful)); TRUE }, mc.set.seed = FALSE)
    child$number <- number
    child$careful <- careful
    child$job <- job
    child$pieces <- pieces
    child$then <- then
    children[[as.character(child$pid)]] <<- child
  }
  for (i in seq_len(min(job$workers, length(pieces)))) start(job, pieces, careful)
  while (length(children)) {
    if (file.exists(file.path(job$root, "message")) || driver > 0L && !tools::pskill(driver, 0L)) {
      tools::pskill(as.integer(names(children)), tools::SIGKILL)
      quit("no", status = 1)
    }
    # it lets interrupts through
    ended <- tryCatch(suppressWarnings(parallel::mccollect(unname(children), wait = FALSE, timeout = 0.2)), interrupt = function(e) {
      # a signal to a container reaches its first process alone
      if (in_container(job)) tools::pskill(as.integer(names(children)), tools::SIGINT)
      NULL
    })
    # a program that a dead process had started may keep its pipe open: R does not notice then
    for (pid in setdiff(names(children), names(ended))) if (is_dead(pid)) {
      if (is.null(children[[pid]]$gone)) children[[pid]]$gone <- TRUE else ended[pid] <- list(NULL)
    }
    for (pid in names(ended)) {
      child <- children[[pid]]
      if (is.null(child)) next
      children[[pid]] <- NULL
      if (stopping(job) || file.exists(file.path(job$root, "message"))) next
      if (inherits(ended[[pid]], "try-error")) give_up(job, "worker: ", conditionMessage(attr(ended[[pid]], "condition")))
      if (isTRUE(ended[[pid]])) { if (!is.null(child$then)) do.call(start, child$then) }
      else if (recover(job, child, start, memory_kills() > killed_before)) in_vain <- 0L
      else if ((in_vain <- in_vain + 1L) > 2L) give_up(job, "worker: its processes end before they have run anything (out of memory?)")
    }
    for (pid in names(children)) if (children[[pid]]$careful && job$replication_timeout > 0) {
      now <- marker_of(job, children[[pid]])
      if (!length(now)) next
      if (!identical(seen[[pid]]$at, now)) seen[[pid]] <- list(at = now, since = proc.time()[[3L]])
      else if (proc.time()[[3L]] - seen[[pid]]$since > job$replication_timeout) {
        children[[pid]]$hung <- sprintf("timed out after %g s", job$replication_timeout)
        tools::pskill(family(as.integer(pid)), tools::SIGKILL)
      }
    }
  }
})

is_dead <- function(pid) {
  if (!file.exists("/proc/self/stat")) return(grepl("^Z|^$", suppressWarnings(system(paste("ps -o stat= -p", pid), intern = TRUE))[1]))
  stat <- tryCatch(readLines(file.path("/proc", pid, "stat")), error = function(e) ") Z", warning = function(w) ") Z")
  any(grepl(") Z", stat, fixed = TRUE))
}

# A process and the programs that it has started, as far as the system tells.
family <- function(pid) {
  path <- sprintf("/proc/%d/task/%d/children", pid, pid)
  c(pid, unlist(lapply(if (file.exists(path)) scan(path, integer(), quiet = TRUE), family)))
}

marker_of <- function(job, child) {
  path <- file.path(job$root, "scratch", paste0("now-", child$number))
  if (file.exists(path)) tryCatch(scan(path, integer(), quiet = TRUE), error = function(e) NULL, warning = function(w) NULL)   # it may just have gone
}

# How many processes have been ended for want of memory, here or in this container (cgroup v2, v1); 0 where nobody says.
memory_kills <- function() {
  for (path in c("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")) {
    found <- grep("^oom_kill ", tryCatch(suppressWarnings(readLines(path)), error = function(e) ""), value = TRUE)
    if (length(found)) return(as.numeric(sub("^oom_kill ", "", found[1L])))
  }
  0
}

# A process died: what it had claimed and not finished is run again by one that is careful, which names the culprit if it dies
# too. Whether the job has come any further.
recover <- function(job, child, start, out_of_memory) {
  left <- child$job
  then <- child$then
  if (!is.null(child$pieces)) {
    path <- file.path(job$root, "scratch", paste0("claimed-", child$number))
    claimed <- if (file.exists(path)) scan(path, integer(), quiet = TRUE)
    left <- only(left, unlist(lapply(claimed, function(k) (if (k > 1L) child$pieces[k - 1L] + 1L else 1L):child$pieces[k])))
    then <- list(child$job, child$pieces, child$careful)
  }
  finished <- lapply(list.files(file.path(job$root, "blocks"), sprintf("^%s-%s-%s-%02d\\.", job$plan, job$job, job$attempt, child$number), full.names = TRUE),
                     function(path) read_block(path)$tables$replications)
  left <- without(left, unlist(lapply(finished, `[[`, "condition")), unlist(lapply(finished, `[[`, "replication")))
  culprit <- if (is.null(child$pieces) || !is.null(child$hung)) marker_of(job, child)
  if (length(culprit)) {
    why <- if (!is.null(child$hung)) child$hung else if (out_of_memory) "out of memory" else "the process ended (a crash, quit(), or out of memory)"
    tables <- list(list(name = "replications", columns = list(condition = culprit[1], replication = culprit[2], ok = FALSE, seconds = NA_real_)),
                   list(name = "failures", columns = list(condition = culprit[1], replication = culprit[2], message = why, call = "", traceback = "")))
    save_block(job, child$number, 999999L, 1L, 1L, c(run = job$run, facts_here()), tables)
    left <- without(left, culprit[1], culprit[2])
  }
  if (length(left$row)) start(left, NULL, TRUE, then) else if (!is.null(then)) do.call(start, then)
  length(culprit) || length(finished) || (!is.null(child$pieces) && length(left$row))
}

only <- function(job, at) {
  job$stretches <- lapply(job$stretches, `[`, at)
  job$row <- job$row[at]
  job$states <- job$states[at, , drop = FALSE]
  job
}

# The job's stretches without some replications.
without <- function(job, condition, replication) {
  if (!length(condition)) return(job)
  gone <- split(replication, condition)
  step <- if (is_function(job)) parallel::nextRNGSubStream else parallel::nextRNGStream
  parts <- lapply(seq_along(job$row), function(s) {
    every <- job$stretches$first[s] + seq_len(job$stretches$count[s]) - 1L
    left <- setdiff(every, gone[[as.character(job$stretches$condition[s])]])
    begins <- which(c(length(left) > 0L, diff(left) != 1L))
    at <- every[1]; state <- job$states[s, ]
    states <- lapply(left[begins], function(first) { while (at < first) { state <<- step(state); at <<- at + 1L }; state })
    list(stretch = rep(s, length(begins)), first = left[begins], count = diff(c(begins, length(left) + 1L)), states = do.call(rbind, states))
  })
  every_part <- function(name) unlist(lapply(parts, `[[`, name))
  job <- only(job, every_part("stretch"))
  job$stretches$first <- every_part("first")
  job$stretches$count <- every_part("count")
  job$states <- do.call(rbind, lapply(parts, `[[`, "states"))
  job
}

# ---- is the simulation fit to run? ----

called_packages <- function(code) {
  found <- character()
  walk <- function(x) {
    if (is.call(x)) {
      f <- if (is.name(x[[1]])) as.character(x[[1]]) else ""
      if (f %in% c("library", "require") && length(x) > 1 && (is.name(x[[2]]) || is.character(x[[2]])) && is.null(x$character.only)) found <<- c(found, as.character(x[[2]]))
      if (f %in% c("::", ":::")) found <<- c(found, as.character(x[[2]]))
      if (f %in% c("quote", "try", "tryCatch", "suppressWarnings")) return()   # a package that is asked for politely may be missing
      if (f == "if") x <- x[-2L]
    }
    if (is.call(x) || is.expression(x) || is.pairlist(x)) for (part in as.list(x)) if (!missing(part)) walk(part)
  }
  walk(code)
  unique(found)
}

check <- function(root) {
  job <- read_job(root)
  facts <- c(problem = "", detail = "")
  arguments <- list(name = character(), has_default = logical())
  functions <- character()
  problem <- function(kind, detail) { facts[["problem"]] <<- kind; facts[["detail"]] <<- paste(detail, collapse = "\n") }
  code <- NULL
  if (nzchar(job$script)) code <- tryCatch(parse(file.path(job$code, job$script), keep.source = FALSE, encoding = "UTF-8"), error = function(e) { problem("syntax", conditionMessage(e)); NULL })
  if (facts[["problem"]] == "") {
    wanted <- called_packages(code)
    absent <- wanted[!vapply(wanted, function(p) length(find.package(p, quiet = TRUE)) > 0, NA)]
    if (length(absent)) problem("packages", absent)
  }
  if (facts[["problem"]] == "" && is_function(job)) {
    loaded <- tryCatch(load_simulation(job), error = function(e) { problem("load", conditionMessage(e)); NULL })
    if (!is.null(loaded)) {
      functions <- Filter(function(n) is.function(get(n, globalenv())), ls(globalenv()))
      if (exists(job[["function"]], globalenv(), mode = "function", inherits = FALSE)) {
        taken <- formals(args(get(job[["function"]], globalenv(), mode = "function")))
        has_default <- vapply(taken, function(d) !identical(d, quote(expr = )), NA, USE.NAMES = FALSE)
        arguments <- list(name = names(taken), has_default = has_default | names(taken) == "...")
        if (!length(taken)) arguments <- list(name = character(), has_default = logical())
      } else problem("function", job[["function"]])
    }
  }
  facts <- c(facts, facts_here(), foreach = if (length(find.package("foreach", quiet = TRUE))) "yes" else "no")
  write_block(file.path(root, "check"), facts, list(list(name = "arguments", columns = arguments), list(name = "functions", columns = list(name = functions))))
}

# ---- several hosts ----

# The hosts of the job, the leader first, and which of them this one is; /opt/ml/config/resourceconfig.json says so.
hosts_of <- function(job) {
  path <- "/opt/ml/config/resourceconfig.json"
  if (!in_container(job) || !file.exists(path)) return(list(all = "localhost", current = "localhost"))
  text <- paste(readLines(path, warn = FALSE), collapse = "")
  names_in <- function(x) regmatches(x, gregexpr("algo-[0-9]+", x))[[1L]]
  all <- names_in(sub('.*"hosts": *\\[([^]]*)\\].*', "\\1", text))
  list(all = all, current = names_in(sub('.*"current_host": *("[^"]*").*', "\\1", text)))
}

# ---- one replication in the foreground ----

# What it prints is shown. ROOT/replay is left behind, a block that tells how it ended, and ROOT/value.rds.
replay <- function(root) {
  job <- read_job(root)
  row <- job$row[1L]; r <- job$stretches$first[1L]; state <- job$states[1L, ]
  trace <- character()
  answer <- function(failed, shown = "", message = "", call = "", traceback = "")
    write_block(file.path(root, "replay"), c(failed = failed), list(list(name = "replay",
      columns = list(shown = shown, message = message, call = call, traceback = traceback))))
  tryCatch({
    if (is_function(job)) {
      job <- load_simulation(job)
      space <- globalenv()
      call <- condition_call(job, row)
      if (job$loop) call[[2L]] <- r
      assign(".Random.seed", state, envir = space)
      value <- withCallingHandlers(eval(call, space), error = function(e) trace <<- tryCatch(user_calls(sys.calls()), error = function(e) character()))
      if (!job$loop) as_columns(value)   # refuses what a run would not keep
      shown <- utils::capture.output(print(value))
    } else {
      value <- script_runner(job, 0L)(row, r, state)
      shown <- if (length(value)) c(paste0(job$results_file, ":"), value)
    }
    saveRDS(value, file.path(root, "value.rds"), compress = FALSE)
    answer("", shown = paste(shown, collapse = "\n"))
  }, error = function(e) answer("yes", message = paste(conditionMessage(e), collapse = "\n"),
    call = if (is.null(conditionCall(e))) "" else paste(deparse(conditionCall(e), nlines = 3L), collapse = " "), traceback = paste(trace, collapse = "\n")))
}

run <- function(root) {
  job <- read_job(root)
  hosts <- hosts_of(job)
  job$hosts <- hosts$all
  if (length(job$hosts) > 1L) {
    source(file.path(job$code, "cluster.R"), local = TRUE)
    if (hosts$current != job$hosts[1L]) serve_host(job$hosts[1L], job$run)
    lifeline <- lead_hosts()   # the other hosts end when this process does
  }
  dir.create(file.path(root, "scratch"), showWarnings = FALSE)
  if (is_function(job)) job <- tryCatch(load_simulation(job), error = function(e) give_up(job, "load: ", conditionMessage(e)))
  work <<- compiler::cmpfun(work)   # R would do so at its second call only, and there is one
  supervise(job)
}

arguments <- commandArgs(trailingOnly = TRUE)
root <- normalizePath(if (length(arguments) > 1L) arguments[2] else "/opt/ml/processing")
# so that source("helpers.R") finds what came along with the script
setwd(file.path(root, "input", "code"))
switch(arguments[1], check = check(root), run = run(root), replay = replay(root), stop("worker.R check | run | replay ROOT"))

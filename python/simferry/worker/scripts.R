# Simulations that are whole scripts, each run in an R of its own.

# A function that runs the script once and gives the contents of its results files, raw vectors by name.
script_runner <- function(job, process) {
  output <- if (nzchar(job$output)) job$output else file.path(job$root, "scratch", paste0("output-", process))
  folder <- working_folder(job, output, own = FALSE)
  home <- normalizePath(file.path(folder$path, job$folder))   # where the script is started
  arguments <- job$conditions[grep("^argument_", names(job$conditions))]
  # where those that the script starts are counted
  processes <- file.path(job$root, "scratch", paste0("processes-", process))
  displaced <- Sys.getenv("R_PROFILE_USER", NA)
  function(row, r, state) {
    unlink(processes, recursive = TRUE, expand = FALSE)
    dir.create(processes)
    seeds <- seeds_of(r, job$seed_keys[row, ])
    given <- filled(job, vapply(arguments, `[[`, "", row), row, r)
    settings <- c(SIMFERRY_OUTPUT = home, seeds, SIMFERRY_CORES = job$cores,
                  MC_CORES = job$cores, R_PROFILE_USER = file.path(normalizePath(job$code), "profile.R"),
                  SIMFERRY_STREAM = paste(state, collapse = ","), SIMFERRY_PROCESSES = processes,
                  SIMFERRY_PARENT = seeds[["SIMFERRY_SEED_HEX"]])
    settings[["PYTHONPATH"]] <- paste(c(file.path(normalizePath(job$code), "simferry_worker", "startup"),
                                        if (nzchar(Sys.getenv("PYTHONPATH")))
                                          Sys.getenv("PYTHONPATH")), collapse = .Platform$path.sep)
    if (!is.na(displaced)) settings[["SIMFERRY_R_PROFILE_USER"]] <- displaced
    settings <- c(settings, settings_of_hosts(job, row, r), variables_of(job, row, r))
    command <- c(on_hosts(job, folder$path), file.path(R.home("bin"), "Rscript"), file.path(folder$path, job$script),
                 given)
    if (nzchar(job$private_mount))
      command <- c("sh", file.path(normalizePath(job$code), "private_mount.sh"), folder$path, command)
    log <- file.path(job$root, "scratch", paste0("log-", process))
    old <- setwd(home)
    on.exit(setwd(old))
    status <- run_alone(command, settings, log, job$replication_timeout)
    setwd(old)
    note_reported(processes)
    printed <- readLines(log, warn = FALSE)
    cat(printed, sep = "\n")
    files <- wrote <- series <- list()
    if (nzchar(job$results_file)) {
      pattern <- job$conditions$results_pattern[row]
      if (!is.null(pattern)) pattern <- filled(job, pattern, row, r)
      for (inside in unique(c(job$folder, ""))) if (!length(files))
        files <- read_results(folder, job$results_file, pattern, inside)
      if (!length(files)) wrote <- shown_files(folder, job$folder)
    }
    is_there <- length(files) || !nzchar(job$results_file)
    if (length(job$metrics)) {
      series <- series_of(job$metrics, printed)
      write_series(series, file.path(home, "metrics.csv"))
      files[["/metrics"]] <- charToRaw(enc2utf8(last_of(series)))
    }
    artifacts <- file.path(job$root, "artifacts", job$conditions$condition[row], r)
    unlink(artifacts, recursive = TRUE, force = TRUE, expand = FALSE)   # of an earlier attempt
    folder$tidy(artifacts)
    stop_if_failed(job, status, printed)
    if (!is_there)
      stop("the script ended without writing ", job$results_file, " in its output folder", wrote, call. = FALSE)
    warn_of_metrics(job$metrics, series)
    files
  }
}

# The values of metrics, as texts by name: the first group of each match, where it is a number. See metrics.py.
series_of <- function(metrics, lines) {
  lines <- iconv(lines, "UTF-8", "UTF-8", sub = "byte")
  one <- function(expression) {
    found <- gregexpr(expression, lines, perl = TRUE)
    texts <- unlist(Map(function(line, match) {
      if (match[1L] == -1L) return(NULL)
      start <- attr(match, "capture.start")[, 1L]
      substring(line, start, start + attr(match, "capture.length")[, 1L] - 1L)
    }, lines, found), use.names = FALSE)
    texts <- trimws(as.character(texts))
    texts[grepl("^[+-]?(([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)$", texts, ignore.case = TRUE)]
  }
  stats::setNames(lapply(metrics$value, one), metrics$name)
}

warn_of_metrics <- function(metrics, series) {
  for (name in names(series)[!lengths(series)])
    warning("metric ", name, ": no line of the output matches ", metrics$value[metrics$name == name], call. = FALSE)
}

# As CSV: metric, step, value. path: if the script has written such a file itself, log_ is put before its name.
write_series <- function(series, path) {
  if (!sum(lengths(series))) return(invisible())
  while (file.exists(path)) path <- file.path(dirname(path), paste0("log_", basename(path)))
  quoted <- function(text) ifelse(grepl("[\",\r\n]", text), paste0("\"", gsub("\"", "\"\"", text), "\""), text)
  row_of <- function(name, values) sprintf("%s,%d,%s", quoted(name), seq_along(values), values)
  rows <- Map(row_of, names(series), series)
  out <- file(path, "wb")
  on.exit(close(out))
  writeLines(enc2utf8(c("metric,step,value", unlist(rows, use.names = FALSE))), out, useBytes = TRUE)
}

# The last values as JSON, null where there is none.
last_of <- function(series) {
  text <- function(x) paste0("\"", gsub("([\"\\\\])", "\\\\\\1", x), "\"")
  values <- vapply(series, function(one) if (length(one)) text(one[length(one)]) else "null", "")
  paste0("{", paste0(text(names(series)), ": ", values, collapse = ", "), "}")
}

# Raises the error of a script that has ended with another status than 0.
stop_if_failed <- function(job, status, printed) {
  if (status == 124 && job$replication_timeout > 0)
    stop("timed out after ", ceiling(job$replication_timeout), " s", call. = FALSE)
  if (status != 0)
    stop("the script ended with status ", status, if (status > 128) paste0(" (signal ", status - 128, ")"), ": ",
         paste(last_words(printed[nzchar(printed)]), collapse = "
"), call. = FALSE)
}

# Environment variables of a script that uses several processes or hosts.
settings_of_hosts <- function(job, row, r) {
  if (length(job$on_hosts)) c(SIMFERRY_SEEDS = seeds_of_ranks(r, job$seed_keys[row, ], job$on_hosts))
  else if (in_container(job))
    c(SIMFERRY_HOSTS = paste(job$hosts, collapse = ","), SIMFERRY_TOKEN = job$run,
      SIMFERRY_CLUSTER = file.path(normalizePath(job$code), "cluster.R"))
}

# What begins a command that runs in several processes, or on each host. It is Python without its settings: those in the
# environment are the script's.
on_hosts <- function(job, work) {
  if (!length(job$on_hosts)) return()
  code <- normalizePath(job$code)
  options <- strsplit(job$mpi_options, "\n", fixed = TRUE)[[1L]]
  c("python3", "-I", file.path(code, "simferry_worker", "toolkit", "mpi.py"),
    if (!is.na(job$ranks)) c("run", "--ranks", job$ranks) else "each",
    if (length(options)) paste0("--option=", options), "--work", work, "--code", code, "--")
}

# name: of the one file, or else the pattern of their names. inside: the folder that names are relative to.
read_results <- function(folder, name, pattern = NULL, inside = "") {
  names <- name
  begin <- if (nzchar(inside)) paste0(inside, "/") else ""
  if (!is.null(pattern)) {
    names <- all_written(folder)
    names <- substring(names[startsWith(names, begin)], nchar(begin) + 1L)
    names <- grep(paste0("^(?:", pattern, ")$"), names, value = TRUE, perl = TRUE)
  }
  whole <- paste0(begin, names)[seq_along(names)]
  paths <- file.path(folder$path, whole)
  found <- file.exists(paths) & !dir.exists(paths) & !vapply(whole, folder$as_made, NA)
  structure(lapply(paths[found], function(path) readBin(path, "raw", file.size(path))), names = names[found])
}

# The names of all new and changed files.
all_written <- function(folder) {
  names <- list.files(folder$path, all.files = TRUE, recursive = TRUE)
  sort(names[!vapply(names, folder$as_made, NA)], method = "radix")
}

# What the script has written instead of its results file, for an error.
shown_files <- function(folder, beside) {
  written <- unname(artifact_names(all_written(folder), beside))
  more <- if (length(written) > 5L) paste(" and", length(written) - 5L, "more")
  if (length(written)) paste0(". It wrote: ", paste(utils::head(written, 5L), collapse = ", "), more)
}

# A results file as replay shows it.
text_of <- function(content) {
  if (any(content == 0L)) return(paste0("(", length(content), " byte", if (length(content) != 1L) "s", ")"))
  text <- rawToChar(content)
  Encoding(text) <- if (validUTF8(text)) "UTF-8" else "latin1"
  text
}

# The last five lines that a script printed, and R's "Error in" and all that follows, if that is among the last twenty.
last_words <- function(lines) {
  lines <- utils::tail(lines, 20L)
  error <- grep("^(Error in |Error: )", lines, useBytes = TRUE)
  first <- min(if (length(error)) error[length(error)], max(1L, length(lines) - 4L))
  lines[seq_along(lines) >= first]
}

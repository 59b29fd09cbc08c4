# A process and the programs that it has started.

# As far as the system tells.
family <- function(pid) {
  paths <- Sys.glob(sprintf("/proc/%d/task/*/children", pid))
  # one that has just ended has no such file any more
  children <- function(path) tryCatch(suppressWarnings(scan(path, integer(), quiet = TRUE)), error = function(e) NULL)
  c(pid, unlist(lapply(paths, function(path) lapply(children(path), family))))
}

# Whether there is a process of this number. tools::pskill() says so too, and takes 30 ms to load.
runs <- function(pid) tryCatch(.Call(parallel:::C_mc_kill, as.integer(pid), 0L), error = function(e) FALSE)

# Ends what this process has started: jobs, clusters and programs that were left running. spared: ids that go on.
end_children <- function(spared = integer()) {
  ended <- spared
  for (round in 1:10) {   # one may be starting another
    left <- setdiff(family(Sys.getpid())[-1L], ended)
    if (!length(left)) break
    tools::pskill(left, tools::SIGKILL)
    ended <- c(ended, left)
  }
}

# From here on this process and its programs read nothing but the end of a file: a fork's standard input is a pipe from
# its parent, which never closes it. Keep what it returns.
empty_input <- function() {
  parallel:::closeFD(0L)
  file(nullfile(), "r")   # takes the lowest number that is free
}

# Runs a program to its end, or for so many seconds (0: without limit), in a process group of its own that ends with it.
# Its exit status; 124 after the time limit. settings: of its environment; log: the file that takes what it prints.
run_alone <- function(command, settings, log, seconds) {
  record <- paste0(log, "-group")
  start <- paste("[ ! -r /proc/self/stat ] ||",
                 '{ read -r pid name state parent group rest < /proc/self/stat; echo "$group" > "$0"; }; exec "$@"')
  # system2 makes a group where there is a time limit, and kills it then, with a warning; it counts in whole seconds
  limit <- if (seconds > 0) ceiling(seconds) else .Machine$integer.max
  status <- suppressWarnings(system2("sh", shQuote(c("-c", start, record, command)),
                                     env = paste0(names(settings), "=", shQuote(settings)),
                                     stdin = nullfile(), stdout = log, stderr = log, timeout = limit))
  if (file.exists(record)) system(paste0("kill -9 -", scan(record, integer(), quiet = TRUE)), ignore.stderr = TRUE)
  unlink(record, expand = FALSE)
  status
}

# The worker's verbs: check, run, replay, which runs one replication in the foreground; wait and check_and_run for the
# first two.

# What it prints is shown. ROOT/replay is left behind, a block that tells how it ended, and ROOT/value.rds.
replay <- function(root) {
  job <- read_job(root)
  enter_code(job)
  move_here("", getwd())   # of the R in which it was loaded
  row <- job$row[1L]
  r <- job$stretches$first[1L]
  state <- job$states[1L, ]
  trace <- character()
  answer <- function(failed, shown = "", message = "", call = "", traceback = "")
    write_block(file.path(root, "replay"), c(failed = failed), list(list(name = "replay",
      columns = list(shown = shown, message = message, call = call, traceback = traceback))))
  tryCatch({
    if (is_function(job)) {
      streams <- guard_tasks(job$seed)
      on.exit(streams$stop())
      job <- streams$load(function() load_simulation(job))
      streams$set_running(function() list(name = r, state = state, seeded = function(seed) NULL))
      space <- globalenv()
      job$included <- included_files(job)
      working_folder(job, file.path(root, "scratch", "folder-0"))
      call <- condition_call(job, row)
      if (job$loop) call[[2L]] <- r
      set_variables(variables_of(job, row, r))
      assign(".Random.seed", state, envir = space)
      value <- withCallingHandlers(eval(call, space),
                                   error = function(e) trace <<- tryCatch(user_calls(sys.calls()),
                                       error = function(e) character()))
      if (!job$loop) rows_of(value)   # refuses what a run would not keep
      shown <- tryCatch(utils::capture.output(print(value)),
                        error = function(e) paste0("(", an(class(value)[1L]), " whose print method fails: ",
                                                   message_of(e), ")"))
    } else {
      job$included <- included_files(job)
      files <- script_runner(job, 0L)(row, r, state)
      value <- stats::setNames(lapply(files, text_of), sub("^/", "", names(files)))
      shown <- unlist(Map(function(name, text) c(paste0(name, ":"), text), names(value), value), use.names = FALSE)
      if (length(value) < 2L) value <- unlist(value, use.names = FALSE)
    }
    saveRDS(value, file.path(root, "value.rds"), compress = FALSE)
    answer("", shown = paste(shown, collapse = "\n"))
  }, error = function(e) answer("yes", message = message_of(e),
    call = call_of(e), traceback = paste(trace, collapse = "\n")))
}

run <- function(root) {
  job <- read_job(root)
  enter_code(job)
  hosts <- hosts_of(job)
  job$hosts <- if (length(job$on_hosts)) hosts$current else hosts$all   # else the launcher has the others
  if (length(job$hosts) > 1L) {
    source(file.path(job$code, "cluster.R"), local = TRUE)
    if (hosts$current != job$hosts[1L]) serve_host(job$hosts[1L], job$run)
    job$lifeline <- lead_hosts()   # the other hosts end when this process does
  }
  dir.create(file.path(root, "scratch"), showWarnings = FALSE)
  watch_source()
  if (is_function(job)) {
    job$streams <- guard_tasks(job$seed)
    job <- load_for_forks(job)
  }
  job$included <- included_files(job)   # with what the script wrote while it was loaded
  compile_work(job)
  supervise(job)
  if (in_container(job)) leave_to_driver(job)
}

# Makes what is left removable for the driver, who is another user: else it starts a container for that.
leave_to_driver <- function(job) {
  unlink(file.path(job$root, "scratch"), recursive = TRUE, force = TRUE, expand = FALSE)
  Sys.chmod(list.dirs(file.path(job$root, "artifacts")), "777", use_umask = FALSE)
}

# Watches this container's files. A function that tells whether none has changed since, but for those of tempdir().
watch_files <- function() {
  mark <- tempfile("mark-")
  file.create(mark)
  shared <- function() list.files("/dev/shm", all.files = TRUE, no.. = TRUE)
  before <- shared()
  function() {
    file.create(witness <- tempfile("mark-"))   # without it, `find` does not do what is asked
    on.exit(unlink(c(mark, witness), expand = FALSE))
    # times of change, which nobody can set; a large image is looked through for a second at most
    found <- tryCatch(suppressWarnings(system2("find", c("/", "-xdev", "-cnewer", shQuote(mark)), stdout = TRUE,
                                               stderr = FALSE, timeout = 1)), error = function(e) character())
    setequal(found, c(dirname(witness), witness)) && identical(shared(), before)
  }
}

# R that starts before it is known what it has to do. Each line of standard input says that: `check ROOT`, then `run
# ROOT` or `end`. It checks in a fork, which leaves no trace here: R starts once for both. log: the file that takes what
# is printed, and belongs to the job then. store: its folder, if that is new.
wait <- function(log, store = character()) {
  input <- file("stdin", "r")
  root <- character()
  driver <- as.integer(Sys.getenv("SIMFERRY_DRIVER", "0"))
  is_alone <- function() driver > 0L && !runs(driver)
  end <- function() {   # the driver has died, and nobody else tidies up: also programs that the check has left
    unlink(c(root, log, tempdir()), recursive = TRUE, expand = FALSE)
    suppressWarnings(file.remove(store))   # if it is empty
    system(paste0("kill -9 -", Sys.getpid()), ignore.stderr = TRUE)
  }
  repeat {
    line <- readLines(input, 1L)
    if (!length(line)) return(end())
    if (line == "end") return()
    if (line == "prepare") {
      loadNamespace("parallel")
      compile_work(list(stretches = list(count = Inf)))
      next
    }
    root <- sub("^[a-z]+ ", "", line)
    if (startsWith(line, "run ")) break
    if (!check_in_fork(root, is_alone)) return(end())
  }
  close(input)
  enter(root)
  run(normalizePath(root))
}

# The same in a container, which was started to check: it runs the job if a line of standard input names its ROOT. The
# container is the driver's to remove; what a check leaves in its files keeps it from going on.
check_and_run <- function(root) {
  untouched <- watch_files()
  servers <- family(Sys.getpid())[-1L]   # which a setup script has left running
  is_fit <- function() {
    end_children(servers)   # there a driver can't do it
    untouched()
  }
  if (!check_in_fork(root, is_fit = is_fit)) return()
  input <- file("stdin")
  given <- readLines(input, 1L)
  close(input)
  if (!length(given) || given == "") return()
  enter(given)
  run(normalizePath(given))
}

# Whether it has checked, and may go on: not if the driver has died.
check_in_fork <- function(root, is_alone = function() FALSE, is_fit = function() TRUE) {
  temporary_files <- function() list.files(tempdir(), all.files = TRUE, full.names = TRUE, no.. = TRUE)
  before <- temporary_files()
  checked <- parallel::mcparallel({
    input <- empty_input()
    enter(root)
    check(normalizePath(root))
    end_children()
  }, mc.set.seed = FALSE)
  # a program that a dead check had started may keep its pipe open: R does not notice then
  collected <- function() suppressWarnings(parallel::mccollect(checked, wait = FALSE, timeout = 0.2))
  while (is.null(collected()) && !is_dead(checked$pid)) if (is_alone()) return(FALSE)
  # the fork has no folder of its own
  unlink(setdiff(temporary_files(), before), recursive = TRUE, force = TRUE, expand = FALSE)
  is_fit() && file.create(file.path(root, "checked"))
}

enter <- function(root) {
  Sys.setenv(SIMFERRY_INPUT = file.path(root, "input"))
  setwd(file.path(root, "input", "code"))
  Sys.setenv(PWD = getwd())   # Rscript has set it to the folder in which it started
}

main <- function(arguments) {
  Sys.setenv(PYTHONHASHSEED = "0")   # of Python that a simulation starts
  if (arguments[1] == "wait") return(do.call(wait, as.list(arguments[-1L])))
  root <- normalizePath(if (length(arguments) > 1L) arguments[2] else "/opt/ml/processing")
  enter(root)
  switch(arguments[1], check = check(root), run = run(root), replay = replay(root), check_and_run = check_and_run(root),
         stop("worker.R check | run | replay | check_and_run ROOT, or wait LOG"))
}

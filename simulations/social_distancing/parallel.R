# People stand at random places in a room: how many others are within 6 feet of a person, on average?
# Rscript parallel.R --args x_length y_length num_people max_iterations
library(foreach)
library(doParallel)

args <- commandArgs(trailingOnly = TRUE)
numbers <- as.numeric(args[args != "--args"][1:4])
if (anyNA(numbers) || any(numbers <= 0)) {
  stop("usage: Rscript parallel.R --args x_length y_length num_people max_iterations")
}
x_length <- numbers[1]
y_length <- numbers[2]
num_people <- numbers[3]
max_iterations <- numbers[4]

registerDoParallel(cores = detectCores())

violations <- foreach(i = seq_len(max_iterations), .combine = "+") %dopar% {
  x <- runif(num_people, 0, x_length)
  y <- runif(num_people, 0, y_length)
  sum(dist(cbind(x, y)) < 6)
}
# A pair counts for both of its people.
violations_per_person <- 2 * violations / num_people / max_iterations

output <- Sys.getenv("SIMFERRY_OUTPUT")
if (output == "") {
  output <- if (dir.exists("/opt/ml/processing/output")) "/opt/ml/processing/output" else "."
}
result <- data.frame(x_length, y_length, num_people, iterations = max_iterations, violations_per_person)
write.csv(result, file.path(output, "result.csv"), row.names = FALSE)
cat(sprintf("%g people in %g x %g feet, %g iterations: %g violations per person\n",
            num_people, x_length, y_length, max_iterations, violations_per_person))

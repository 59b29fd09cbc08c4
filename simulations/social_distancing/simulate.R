# People stand at random places in a room: how many pairs are closer than 6 feet?

# x_length, y_length: sides of the room in feet; num_people: a whole number, at least 1.
# violations: pairs of people closer than 6 feet; per_person: mean number of others within 6 feet of a person.
simulate <- function(x_length, y_length, num_people) {
  stopifnot(x_length > 0, y_length > 0, num_people >= 1, num_people == round(num_people))
  x <- runif(num_people, 0, x_length)
  y <- runif(num_people, 0, y_length)
  violations <- close_pairs(x, y)
  c(violations = violations, per_person = 2 * violations / num_people)
}

# Number of pairs of points less than `distance` apart. The room is cut into strips and the people are lined up strip
# after strip. Everyone who can be close to a person is then in two short stretches of the line: just ahead in the
# person's own strip, and around the same x in the next.
close_pairs <- function(x, y, distance = 6) {
  reach <- 1.001 * distance # a little more than the distance, so that rounding never hides a pair
  x <- x - min(x)
  y <- y - min(y)
  step <- max(x) + 3 * distance # from a place in one strip to the same place in the next
  place <- floor(y / reach) * step + x
  line <- order(place)
  x <- x[line]
  y <- y[line]
  place <- place[line]

  person <- rep(seq_along(place), 2)
  before <- c(seq_along(place), findInterval(place + step - reach, place))
  candidates <- c(findInterval(place + reach, place), findInterval(place + step + reach, place)) - before

  pairs <- 0
  for (k in seq_len(max(candidates))) {
    left <- person[candidates >= k]
    right <- before[candidates >= k] + k
    pairs <- pairs + sum((x[right] - x[left])^2 + (y[right] - y[left])^2 < distance^2)
  }
  pairs
}

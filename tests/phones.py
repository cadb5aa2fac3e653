"""What of a patient's telephone number must be nowhere, told from figures that an id happens to hold."""

NUMBER = r"555(?:\D|%20)?01\d\d|(?<![0-9a-f])0142(?![0-9a-f])"

"""Faults: proof that nothing is lost and nothing is doubled.

The real thing is started (PostgreSQL, two web processes, two workers, a Twilio, a mail server, proxies in between),
loaded by seeded clients, broken on a seeded schedule, and then judged by four records that know nothing of each other:
what the clients were told, what the providers accepted, what is in the database, and what the processes wrote.

    plan        what a seed decides: which faults come when
    proxy       TCP that is slow, silent, cut, or that loses the answer to a COMMIT
    world       the processes, and whoever starts again what died
    providers   Twilio and the mail server, in a process of their own that takes commands
    journal     what was asked, how often, and what was told
    clients     patients, the desk, phones that write, and vandals
    faults      the table of everything that goes wrong
    records     the four records, read at the end
    doubts      what became of that on which somebody gave up in doubt
    judge       the promises, each a function of the records; judge_messages has those about messages
    bounds      how long people waited, how soon it was well again, what was used up
    controls    the service made wrong on purpose: each must be found
    report      what is printed
"""

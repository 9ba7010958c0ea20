create schema bonds
